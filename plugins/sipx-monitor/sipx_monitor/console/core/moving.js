/** What makes the console itself anew: the link ends meanwhile, and the address may be another. */
import {effect, signal, SipxError} from './base.js';
import {draft} from './draft.js';
import {t} from './i18n.js';
import {call, link} from './link.js';

/** Where the console is then: an address, "?" where only sipx knows it, "off", "" for here. */
export const moved = signal('');

const PLACE = /^monitor\.(bind|port|certificate)$/;
const PATIENCE = 30_000;
/** Where it is expected to be elsewhere, it comes back here only because that failed. */
const SHORT = 8_000;

/** Look ahead: `plan` is what a reload or a change is going to do, `value(key)` what is set then. */
export function expect(plan, value = draft.value) {
  const keys = [...plan?.added ?? [], ...plan?.changed ?? [], ...plan?.removed ?? []];
  if (plan?.stop?.includes('monitor')) moved.value = 'off';
  else moved.value = keys.some((key) => PLACE.test(key)) ? place(value) : '';
}

function place(value) {
  const port = value('monitor.port');
  if (!port) return '?';
  const bind = value('monitor.bind');
  const host = ['0.0.0.0', '::', '127.0.0.1'].includes(bind) ? location.hostname : bind;
  const scheme = value('monitor.certificate') ? 'https' : 'http';
  return `${scheme}://${host.includes(':') ? `[${host.replace(/[[\]]/g, '')}]` : host}:${port}/`;
}

effect(() => { if (link.value === 'up') moved.value = ''; });

/** When the link is up again; rejects with `error` where it does not come back. */
export function linkAgain(error) {
  return new Promise((resolve, reject) => {
    const end = setTimeout(() => { stop(); reject(error); }, moved.value ? SHORT : PATIENCE);
    const stop = effect(() => {
      if (link.value !== 'up') return;
      clearTimeout(end);
      setTimeout(() => { stop(); resolve(); });
    });
  });
}

/** Take up the file as it is, also where that ends the link before the answer comes. */
export async function reload() {
  const [plan, {settings}] = await Promise.all([call('reload.plan'), call('config.show', {defaults: true})]);
  expect(plan, (name) => settings.find(({key}) => key === name)?.value);
  try {
    await call('reload');
    moved.value = '';
  } catch (error) {
    if (error.code !== 'link') {
      moved.value = '';
      throw error;
    }
    await linkAgain(error);
    const {reload: last} = await call('service.status');
    if (last.error) throw new SipxError('reload', last.error);
  }
}

/** The words for it. */
export function whereTo() {
  if (moved.value === 'off') return t('The console is being switched off.');
  return moved.value === '?' ? t('The console has another address now: sipx console url shows it.')
    : t('The console has another address now:');
}
