/** The JSON schema of the configuration: what may stand at a key, its default, hints for its form. */

/** A schema with its references followed, and without the choice of "null". */
function plain(schema, whole) {
  let found = schema;
  while (found?.$ref) {
    const {$ref, ...own} = found;
    const there = $ref.split('/').slice(1).reduce((at, part) => at?.[part.replaceAll('~1', '/')], whole);
    found = {...there, ...own};
  }
  if (found?.allOf?.length === 1) found = {...plain(found.allOf[0], whole), ...found, allOf: undefined};
  const choices = found?.anyOf ?? found?.oneOf;
  if (choices) {
    const others = choices.filter((choice) => choice.type !== 'null');
    if (others.length === 1) {
      const {anyOf, oneOf, ...own} = found;
      return {...plain(others[0], whole), ...own, optional: others.length < choices.length};
    }
    return {...found, anyOf: others.map((choice) => plain(choice, whole))};
  }
  return found;
}

/** The schema at the parts of a key; null where nothing is known of it. */
export function schemaAt(whole, parts) {
  let found = plain(whole, whole);
  for (const part of parts) {
    const choices = found?.anyOf ?? [found];
    const next = choices.map((choice) => inner(choice, part)).find(Boolean);
    if (!next) return null;
    found = plain(next, whole);
  }
  return found;
}

function inner(schema, part) {
  if (typeof part === 'number') return schema?.items ?? null;
  const own = schema?.properties?.[part];
  if (own) return own;
  const more = Object.values(schema?.patternProperties ?? {})[0] ?? schema?.additionalProperties;
  return more && more !== true ? more : null;
}

/** Which kinds of value may stand there: a set of the types of JSON. */
export function typesOf(schema) {
  if (!schema) return new Set();
  if (schema.anyOf) return new Set(schema.anyOf.flatMap((choice) => [...typesOf(choice)]));
  if (schema.enum) return new Set(['enum']);
  if ('const' in schema) return new Set(['enum']);
  return new Set([schema.type].flat().filter(Boolean));
}

/** The values to choose from, [] where any may stand. */
export function choicesOf(schema) {
  if (!schema) return [];
  if (schema.enum) return schema.enum.filter((value) => value !== null);
  if ('const' in schema) return [schema.const];
  if (schema.anyOf && schema.anyOf.every((choice) => choicesOf(choice).length)) {
    return schema.anyOf.flatMap(choicesOf);
  }
  return [];
}

/** What is shown for a key: the widget that its schema asks for. */
export function widgetOf(schema) {
  const hint = schema?.['x-sipx']?.widget;
  if (hint) return hint;
  if (schema?.writeOnly || schema?.format === 'password') return 'secret';
  if (choicesOf(schema).length) return 'choice';
  const types = typesOf(schema);
  if (types.size === 1 && types.has('boolean')) return 'switch';
  if (types.has('array')) return types.has('string') ? 'text' : 'list';
  if (types.has('object')) return 'table';
  if (types.size === 1 && (types.has('integer') || types.has('number'))) return 'number';
  return 'text';
}

/** "live", "rebind" or "restart": what a change of it means for the running proxy. */
export function appliesOf(schema) {
  return schema?.['x-sipx']?.applies ?? 'live';
}

/** What was typed, as the value that the schema lets stand there; undefined for "the default". */
export function valueOf(text, schema) {
  const written = text.trim();
  if (written === '') return undefined;
  const types = typesOf(schema);
  if (types.has('boolean') && (written === 'true' || written === 'false')) return written === 'true';
  if (types.has('integer') && /^[+-]?\d+$/.test(written)) return Number(written);
  if (types.has('number') && /^[+-]?\d+(\.\d+)?$/.test(written)) return Number(written);
  return written;
}

/** A value as a field shows it. */
export function textOf(value) {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(textOf).join(', ');
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

const SIZES = [['GB', 1e9], ['GiB', 2 ** 30], ['MB', 1e6], ['MiB', 2 ** 20], ['kB', 1e3], ['KiB', 2 ** 10]];

/** A number of bytes as the file would say it: 20000000 is "20MB". */
export function sizeText(value) {
  if (typeof value !== 'number' || value <= 0) return textOf(value);
  const unit = SIZES.find(([, size]) => value % size === 0);
  return unit ? `${value / unit[1]}${unit[0]}` : String(value);
}

/** A duration as one would write it: "39500ms" is "39.5s", a number is of seconds. */
export function durationText(value) {
  if (typeof value === 'number') return `${value}s`;
  const found = /^(\d+)ms$/.exec(textOf(value));
  return found && Number(found[1]) >= 1000 ? `${Number(found[1]) / 1000}s` : textOf(value);
}
