/** Keys of the configuration as TOML writes them: `static-routes.route."partner.example".port`. */

const BARE = /^[A-Za-z0-9_-]+$/;
const PART = /\s*(?:([^\s.[\]"'=#]+)|("(?:[^"\\]|\\.)*")|'([^']*)'|\[(\d+)\])\s*/y;

/** The parts of a key. Throws a TypeError for what is none. */
export function parseKey(key) {
  const parts = [];
  PART.lastIndex = 0;
  while (PART.lastIndex < key.length) {
    const at = PART.lastIndex;
    const found = PART.exec(key);
    if (!found) throw new TypeError(`'${key}' is no key: nothing fits at ${at + 1}`);
    const [, bare, basic, literal, index] = found;
    parts.push(bare ?? (basic ? JSON.parse(basic) : literal ?? Number(index)));
    if (key[PART.lastIndex] === '.') PART.lastIndex += 1;
  }
  return parts;
}

/** One part: bare where that is allowed, else in quotes. */
export function keyPart(name) {
  return BARE.test(name) ? name : JSON.stringify(name);
}

/** The key of some parts: `keyOf('static-routes', 'route', 'partner.example', 'port')`. */
export function keyOf(...parts) {
  return parts.reduce((written, part) => (typeof part === 'number' ? `${written}[${part}]`
    : written ? `${written}.${keyPart(part)}` : keyPart(part)), '');
}

/** A key written in the one way in which it can be compared. */
export function normal(key) {
  return /["'\s]/.test(key) ? keyOf(...parseKey(key)) : key;
}

/** Whether a key is in the table of another one, or that table itself. */
export function within(key, table) {
  return key === table || key.startsWith(`${table}.`) || key.startsWith(`${table}[`);
}
