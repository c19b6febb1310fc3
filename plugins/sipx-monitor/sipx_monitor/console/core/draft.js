/**
 * The draft: what is to be changed in the configuration file, before it is.
 *
 * All reads are reactive: a component that asks for `draft.value(key)` while it renders is
 * rendered again when the answer is another one. The server checks each draft (draftcheck.js).
 */
import {batch, computed, same, signal} from './base.js';
import {keyOf, normal, parseKey, within} from './notation.js';
import {schemaAt} from './schema.js';

/** What stands where a secret is hidden; put back it means the secret that is there. */
export const HIDDEN = '**********';

/** The file as it was read: {file, etag, settings: Map of key -> {value, line, help}}; null before. */
export const base = signal(null);
/** The JSON schema of the file; null before it is there. */
export const schema = signal(null);
/** The edits, as `config.change` takes them. */
export const edits = signal([]);
/** What the server says of them; see draftcheck.js. */
export const verdict = signal({state: 'idle', problems: [], diff: [], plan: null, error: null});
/** The file is another one meanwhile: {etag}, else null. */
export const conflict = signal(null);

const past = [];

function change(next) {
  past.push(edits.value);
  if (past.length > 100) past.shift();
  edits.value = next;
}

/** The edit that says what stands at a key, and the rest of the key below it. */
function covering(key) {
  return edits.value.findLast((edit) => edit.op !== 'text' && within(key, edit.key));
}

function below(key, table) {
  return parseKey(key).slice(parseKey(table).length);
}

function dig(value, parts) {
  return parts.reduce((at, part) => (at === null || at === undefined ? undefined : at[part]), value);
}

/** A copy of a table with a value at some parts of a key, or without it where it is undefined. */
function planted(table, [part, ...rest], value) {
  const copy = {...table};
  if (rest.length) copy[part] = planted(copy[part] ?? {}, rest, value);
  else if (value === undefined) delete copy[part];
  else copy[part] = value;
  return copy;
}

function schemaOf(key) {
  return schema.value ? schemaAt(schema.value, parseKey(key)) : null;
}

function defaultOf(key) {
  const found = base.value?.settings.get(key);
  if (found && found.line === null) return found.value ?? undefined;
  return schemaOf(key)?.default ?? undefined;
}

/** The settings of a file as a tree, and the names of the tables below each key: made once. */
const indices = new WeakMap();

function indexOf(file) {
  let index = indices.get(file);
  if (!index) {
    index = {tree: {}, tables: new Map()};
    for (const [name, {value}] of file.settings) {
      const parts = parseKey(name);
      for (let depth = 0; depth < parts.length - 1; depth += 1) {
        const prefix = keyOf(...parts.slice(0, depth));
        if (!index.tables.has(prefix)) index.tables.set(prefix, new Set());
        index.tables.get(prefix).add(String(parts[depth]));
      }
      if (value !== null && value !== undefined) sow(index.tree, parts, value);
    }
    indices.set(file, index);
  }
  return index;
}

function sow(tree, parts, value) {
  let at = tree;
  for (const part of parts.slice(0, -1)) {
    if (at[part] === null || typeof at[part] !== 'object') at[part] = {};
    at = at[part];
  }
  at[parts.at(-1)] = value;
}

function filed(key) {
  const file = base.value;
  if (!file) return undefined;
  if (file.settings.has(key)) return file.settings.get(key).value ?? undefined;
  return dig(indexOf(file).tree, parseKey(key)) ?? schemaOf(key)?.default ?? undefined;
}

/** What stands at a key before the draft: undefined, or in a table that the draft adds its default. */
function current(key) {
  const edit = covering(key);
  if (!edit) return filed(key);
  if (edit.op === 'unset') return edit.key === key ? defaultOf(key) : undefined;
  if (edit.op === 'remove_table') return undefined;
  const found = dig(edit.value, below(key, edit.key));
  return found === undefined ? schemaOf(key)?.default ?? undefined : found;
}

/** Tables in whole are also made of what is drafted below them. */
function value(name) {
  const key = normal(name);
  let found = current(key);
  for (const edit of edits.value) {
    if (edit.key === key || edit.op === 'text' || !within(edit.key, key)) continue;
    const parts = below(edit.key, key);
    if (edit.op === 'set' || edit.op === 'add_table') found = planted(found ?? {}, parts, edit.value);
    else found = planted(found ?? {}, parts, edit.op === 'unset' ? defaultOf(edit.key) : undefined);
  }
  return found;
}

function addition(key) {
  return edits.value.findLast((edit) => edit.op === 'add_table' && within(key, edit.key));
}

function into(edit, key, found) {
  const next = {...edit, value: planted(edit.value, below(key, edit.key), found)};
  change(edits.value.map((one) => (one === edit ? next : one)));
}

function set(name, next) {
  if (text.value !== undefined) return;
  if (next === undefined) {
    unset(name);
    return;
  }
  const key = normal(name);
  const added = addition(key);
  if (added && added.key !== key) {
    into(added, key, next);
    return;
  }
  const others = edits.value.filter((edit) => !within(edit.key, key));
  const before = base.value?.settings.get(key);
  const unchanged = before ? same(before.value, next) : same(filed(key), next);
  if (unchanged && others.length === edits.value.length) return;
  change(unchanged ? others : [...others, {op: 'set', key, value: next}]);
}

function unset(name) {
  if (text.value !== undefined) return;
  const key = normal(name);
  const added = addition(key);
  if (added && added.key !== key) {
    into(added, key, undefined);
    return;
  }
  const others = edits.value.filter((edit) => edit.key !== key);
  const written = base.value?.settings.get(key)?.line ?? null;
  if (written === null && others.length === edits.value.length) return;
  change(written === null ? others : [...others, {op: 'unset', key}]);
}

function addTable(name, values = {}, comment = '') {
  if (text.value !== undefined) return;
  const key = normal(name);
  const others = edits.value.filter((edit) => !within(edit.key, key) || edit.op === 'remove_table');
  change([...others, {op: 'add_table', key, value: values, ...(comment ? {comment} : {})}]);
}

function removeTable(name) {
  if (text.value !== undefined) return;
  const key = normal(name);
  const others = edits.value.filter((edit) => !within(edit.key, key));
  const filedHere = tablesOf(base.value, keyOf(...parseKey(key).slice(0, -1))).has(parseKey(key).at(-1));
  change(filedHere ? [...others, {op: 'remove_table', key}] : others);
}

function tablesOf(file, prefix) {
  return new Set(file ? indexOf(file).tables.get(prefix) : []);
}

/** The names of the tables below a key, those that the draft adds with them. */
function tables(name) {
  const prefix = normal(name);
  const found = tablesOf(base.value, prefix);
  const depth = parseKey(prefix).length;
  for (const edit of edits.value) {
    if (edit.op === 'text' || !edit.key.startsWith(`${prefix}.`)) continue;
    const parts = parseKey(edit.key);
    if (edit.op === 'remove_table' && parts.length === depth + 1) found.delete(parts[depth]);
    if (edit.op === 'add_table' && parts.length === depth + 1) found.add(parts[depth]);
  }
  return [...found];
}

/** The sentences of the server about a key; about all that is in it where it is a table. */
function problems(name, {inside = false} = {}) {
  const key = normal(name);
  return verdict.value.problems
    .filter((one) => one.key && (inside ? within(one.key, key) : within(one.key, key) && !deeper(one.key, key)))
    .map((one) => one.short ?? one.text);
}

/** An entry of a list belongs to the list, a key of a table has a field of its own. */
function deeper(key, table) {
  return key.length > table.length && key[table.length] === '.';
}

function isChanged(name) {
  const key = normal(name);
  return edits.value.some((edit) => edit.op !== 'text' && (within(edit.key, key)
    || (within(key, edit.key) && (edit.op !== 'add_table' || dig(edit.value, below(key, edit.key)) !== undefined))));
}

/** Where the value of a key comes from: {from: 'draft'|'file'|'default', line}. */
function origin(name) {
  const key = normal(name);
  if (isChanged(key)) return {from: 'draft', line: null};
  const line = base.value?.settings.get(key)?.line ?? null;
  return line === null ? {from: 'default', line} : {from: 'file', line};
}

/** Drop what is drafted at a key and below it. */
function revert(name) {
  const key = normal(name);
  const left = edits.value.filter((edit) => edit.op === 'text' || !within(edit.key, key));
  if (left.length !== edits.value.length) change(left);
}

/** Take the whole text of the file as the draft; undefined drops it. */
function setText(text) {
  change(text === undefined ? [] : [{op: 'text', value: text}]);
}

export const count = computed(() => edits.value.length);
const text = computed(() => edits.value.find((edit) => edit.op === 'text')?.value);

export const draft = {
  value, set, unset, addTable, removeTable, tables, problems, isChanged, origin, revert, setText,
  count,
  /** The drafted text of the whole file, undefined where single settings are drafted. */
  text,
  /** Whether single settings cannot be changed, because the whole text is being edited. */
  locked: computed(() => text.value !== undefined),
  schema: (name) => schemaOf(normal(name)),
  schemaReady: computed(() => schema.value !== null && base.value !== null),
  help: (name) => base.value?.settings.get(normal(name))?.help || schemaOf(normal(name))?.description || '',
  edits: () => edits.value,
  isRemoved: (name) => edits.value.some((edit) => edit.op === 'remove_table' && within(normal(name), edit.key))
    && !addition(normal(name)),
  isNew: (name) => addition(normal(name)) !== undefined,
  /** Take back the last edit of the draft. */
  back() {
    if (past.length) edits.value = past.pop();
  },
  discard() {
    if (edits.value.length) change([]);
    conflict.value = null;
  },
};

/** Drop everything, and the way back to it. */
export function forget() {
  batch(() => {
    edits.value = [];
    conflict.value = null;
  });
  past.length = 0;
}

/** The file has been read anew: edits that say what it says already are none. */
export function rebase(file) {
  batch(() => {
    base.value = file;
    conflict.value = null;
    edits.value = edits.value.filter((edit) => !done(edit, file));
    past.length = 0;
  });
}

function done(edit, file) {
  const found = file.settings.get(edit.key);
  if (edit.op === 'set') return found?.line != null && same(found.value, edit.value) && edit.value !== HIDDEN;
  if (edit.op === 'unset') return (found?.line ?? null) === null;
  if (edit.op === 'text') return false;
  const parts = parseKey(edit.key);
  const there = tablesOf(file, keyOf(...parts.slice(0, -1))).has(String(parts.at(-1)));
  if (edit.op === 'remove_table') return !there && !edits.value.some((one) => one.op === 'add_table' && one.key === edit.key);
  return there && Object.entries(edit.value).every(([name, value]) =>
    typeof value === 'object' || same(file.settings.get(keyOf(...parts, name))?.value, value));
}
