/** The draft at the server: read the file, check as it is edited, save, and notice others who edit. */
import {batch, effect, signal, SipxError} from './base.js';
import {base, conflict, draft, edits, rebase, schema, verdict} from './draft.js';
import {t} from './i18n.js';
import {call, link, subscribe} from './link.js';
import {can, session} from './session.js';
import {expect, linkAgain} from './moving.js';
import {normal} from './notation.js';

/** While it is being saved. */
export const saving = signal(false);
/** What went wrong when the file was read; null if nothing did. */
export const unreadable = signal(null);

const PAUSE = 350;
let clock = 0;
let turn = 0;

/** Read the file and its schema. */
export async function readFile() {
  try {
    const [shown, described] = await Promise.all([
      call('config.show', {defaults: true}),
      schema.value ? null : call('config.schema', {installed: true}),
    ]);
    const settings = new Map(shown.settings.map(({key, ...rest}) => [normal(key), rest]));
    batch(() => {
      if (described) schema.value = described.document;
      unreadable.value = null;
      rebase({file: shown.file, etag: shown.etag, settings});
    });
    return true;
  } catch (error) {
    if (error.code !== 'link') unreadable.value = error;
    return false;
  }
}

/** Read the file, and again whenever it has changed and nothing is drafted. */
export function watchFile() {
  void readFile();
  subscribe('config', {}, ({state}) => {
    const etag = state?.etag;
    if (!etag || !base.value || etag === base.value.etag || saving.value) return;
    if (edits.value.length) conflict.value = {etag};
    else void readFile();
  }, {onError: (error) => console.warn('The file is not watched:', error.message)});
  effect(() => { if (link.value === 'up' && !base.peek() && session.peek()) void readFile(); });
}

effect(() => {
  const list = edits.value;
  clearTimeout(clock);
  if (!list.length) {
    turn += 1;
    verdict.value = {state: 'idle', problems: [], diff: [], plan: null, error: null};
    return;
  }
  verdict.value = {...verdict.peek(), state: 'checking'};
  clock = setTimeout(check, PAUSE);
});

/** Ask the server what the draft would do. Gives the verdict. */
export async function check() {
  clearTimeout(clock);
  const mine = ++turn;
  const list = edits.value;
  if (!list.length || !can('admin')) return verdict.value;
  verdict.value = {...verdict.value, state: 'checking'};
  let found;
  try {
    const {diff, plan} = await call('config.change', {edits: list, dry_run: true});
    found = {state: 'good', problems: [], diff, plan, error: null};
  } catch (error) {
    found = {state: 'bad', problems: named(error), diff: [], plan: null, error};
  }
  if (mine === turn) verdict.value = found;
  return found;
}

/** The problems with their keys in the one way of writing, and without the place of the file. */
function named(error) {
  return (error.problems ?? []).map((one) => {
    let key = one.key ?? '';
    try {
      key = normal(key);
    } catch (wrong) {
      if (!(wrong instanceof TypeError)) throw wrong;
    }
    return {...one, key, short: shortened(one.text, one.key)};
  });
}

/** `sipx.toml:19:8: wan.public_port: 70000 is more than 65535` beside the field: what is wrong. */
function shortened(text, key) {
  const at = key ? text.indexOf(`${key}: `) : -1;
  return at >= 0 && at < 300 ? text.slice(at + key.length + 2) : text;
}

/** Write the draft and take it up. Gives {version, plan}; rejects with a SipxError. */
export async function save(why = '') {
  const list = edits.value;
  saving.value = true;
  expect(verdict.value.plan, draft.text.value === undefined ? draft.value : () => undefined);
  try {
    const done = await call('config.change', {edits: list, etag: base.value?.etag ?? '', why});
    await finished(list);
    expect(null);
    return done;
  } catch (error) {
    if (error.code === 'link') return await afterwards(error);
    expect(null);
    if (isConflict(error)) conflict.value = {etag: ''};
    else verdict.value = {state: 'bad', problems: named(error), diff: [], plan: null, error};
    throw error;
  } finally {
    saving.value = false;
  }
}

/** What was sent is in the file, which is read first; what was drafted meanwhile stays. */
async function finished(sent) {
  const read = await readFile();
  edits.value = edits.value.filter((one) => !sent.includes(one));
  if (!read) base.value = null;
}

function isConflict(error) {
  return (error.code === 'not now' || error.code === 409 || error.code === -32003)
    && /changed meanwhile/.test(error.message);
}

/** The change took the console itself down for a moment: whether it was made is in the file. */
async function afterwards(error) {
  await linkAgain(error);
  const before = base.value?.etag;
  const wasText = draft.text.value;
  if (!await readFile()) throw error;
  if (base.value.etag === before) throw new SipxError('link', t('The link was lost, and nothing was changed. Save again.'));
  if (wasText !== undefined) {
    const {text} = await call('config.text');
    if (text === wasText) edits.value = [];
  }
  if (edits.value.length) throw error;
  const {versions} = await call('config.history');
  return {version: versions.at(-1)?.number ?? null, plan: null};
}

/** Go back to a version of the file; null: the one before the last change. */
export async function undo(number = null) {
  saving.value = true;
  try {
    await call('config.undo', {number});
    await readFile();
  } catch (error) {
    if (error.code !== 'link') throw error;
    const before = base.value?.etag;
    await linkAgain(error);
    if (!await readFile() || base.value.etag === before) throw error;
  } finally {
    saving.value = false;
  }
}

addEventListener('beforeunload', (event) => { if (edits.value.length) event.preventDefault(); });
