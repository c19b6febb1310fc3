/** Words in the language of the reader, and numbers and times as it writes them. */
import {at, preferences, signal, computed} from './base.js';

export const LANGUAGES = {en: 'English', de: 'Deutsch'};
const CATALOGUES = ['core', 'settings', 'live'];

/** What the server's configuration says; "auto" leaves it to the browser. */
export const wanted = signal('auto');
const messages = signal({en: {}});
/** The languages whose catalogues are there; panels may have brought texts before. */
const loaded = new Set(['en']);

export const language = computed(() => {
  const chosen = preferences.value.language || wanted.value;
  if (chosen in LANGUAGES) return chosen;
  const own = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES);
  return own ?? 'en';
});

/** Load the catalogues of a language once; what is missing stays English. */
export async function loadLanguage(name) {
  if (loaded.has(name)) return;
  loaded.add(name);
  const found = await Promise.all(CATALOGUES.map((part) => catalogue(name, part)));
  messages.value = {...messages.value, [name]: Object.assign({}, ...found, messages.value[name])};
}

async function catalogue(name, part) {
  try {
    const answer = await fetch(at(`console/locales/${name}/${part}.json`));
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return await answer.json();
  } catch (error) {
    console.warn(`The texts ${name}/${part}.json cannot be read:`, error);
    return {};
  }
}

/** The texts of a panel: `registerMessages('de', {'My panel': 'Meine Tafel'})`. */
export function registerMessages(name, texts) {
  messages.value = {...messages.value, [name]: {...messages.value[name], ...texts}};
}

/** The English text in the language of the reader, `{name}` replaced. */
export function t(text, values = {}) {
  const found = messages.value[language.value]?.[text] ?? text;
  return found.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

function tag() {
  return language.value === 'de' ? 'de-DE' : 'en-GB';
}

const formats = new Map();
function format(kind, options) {
  const key = `${kind.name} ${tag()} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new kind(tag(), options));
  return formats.get(key);
}

const NONE = '–';
const number = (value, options = {}) => format(Intl.NumberFormat, options).format(value);
const moment = (seconds, options) => format(Intl.DateTimeFormat, options).format(seconds * 1000);
const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

/** Numbers and times; all times are seconds since 1970, as everywhere in sipx. */
export const fmt = {
  number: (value, digits = 0) => (known(value) ? number(value, {maximumFractionDigits: digits}) : NONE),
  rate: (value) => (known(value) ? number(value, {maximumFractionDigits: value < 10 ? 1 : 0}) : NONE),
  percent: (value) => (known(value) ? number(value, {style: 'percent', maximumFractionDigits: 1}) : NONE),
  bytes(value) {
    if (!known(value)) return NONE;
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let step = 0;
    let left = value;
    while (Math.abs(left) >= 1000 && step < units.length - 1) {
      left /= 1000;
      step += 1;
    }
    return `${number(left, {maximumFractionDigits: step && left < 10 ? 1 : 0})} ${units[step]}`;
  },
  /** Date and time of day. */
  time: (seconds) => (known(seconds) ? moment(seconds, {dateStyle: 'medium', timeStyle: 'medium'}) : NONE),
  date: (seconds) => (known(seconds) ? moment(seconds, {dateStyle: 'medium'}) : NONE),
  /** The time of day, with milliseconds where `precise`. */
  clock: (seconds, precise = false) => (known(seconds)
    ? moment(seconds, {hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
      ...(precise ? {fractionalSecondDigits: 3} : {})})
    : NONE),
  /** How long: `350 ms`, `4.2 s`, `3 min 5 s`, `2 d 4 h`. */
  duration(seconds) {
    if (!known(seconds)) return NONE;
    if (seconds === 0) return '0 s';
    if (seconds < 0.001) return '< 1 ms';
    if (seconds < 1) return `${number(seconds * 1000, {maximumFractionDigits: seconds < 0.01 ? 1 : 0})} ms`;
    if (seconds < 60) return `${number(seconds, {maximumFractionDigits: seconds < 10 ? 1 : 0})} s`;
    const whole = Math.floor(seconds);
    const parts = [[Math.floor(whole / 86400), t('d')], [Math.floor(whole / 3600) % 24, t('h')],
      [Math.floor(whole / 60) % 60, t('min')], [whole % 60, t('s')]];
    const first = parts.findIndex(([count]) => count > 0);
    return parts.slice(first, first + 2).filter(([count]) => count > 0)
      .map(([count, unit]) => `${count} ${unit}`).join(' ');
  },
  /** How long ago or ahead, in words: "3 minutes ago", "in 12 days". */
  ago(seconds, now = Date.now() / 1000) {
    if (!known(seconds)) return NONE;
    const passed = seconds - now;
    const units = [['year', 31557600], ['month', 2629800], ['day', 86400], ['hour', 3600],
      ['minute', 60], ['second', 1]];
    const [unit, size] = units.find(([, length]) => Math.abs(passed) >= length) ?? units[5];
    return format(Intl.RelativeTimeFormat, {numeric: 'auto'}).format(Math.trunc(passed / size), unit);
  },
};
