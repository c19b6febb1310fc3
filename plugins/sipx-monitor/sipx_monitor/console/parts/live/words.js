// How a message is named and drawn, in one place for the list, the ladder and the text.

import {language, t} from 'sipx';

const two = n => (n < 10 ? `0${n}` : `${n}`);

// Intl is too slow for a row that is drawn a thousand times a second.
export function clock(time) {
  const at = new Date(time * 1000);
  const ms = `${at.getMilliseconds()}`.padStart(3, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`;
}

const fixed = (value, digits) => {
  const text = value.toFixed(digits);
  return language.value === 'de' ? text.replace('.', ',') : text;
};

export function seconds(value) {
  if (value === null || value === undefined) return '';
  if (value === 0) return '0 s';
  if (value < 0.001) return `${fixed(value * 1e6, 0)} µs`;
  if (value < 1) return `${fixed(value * 1000, value < 0.01 ? 1 : 0)} ms`;
  if (value < 60) return `${fixed(value, value < 10 ? 2 : 1)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

export const classOf = status => (status ? `${Math.floor(status / 100)}xx` : 'request');

// "colour never alone": every class has a sign of its own as well as its word.
export const SIGNS = {
  request: '▸', '1xx': '…', '2xx': '✓', '3xx': '↷', '4xx': '✕', '5xx': '✕', '6xx': '✕',
};

export const titleOf = m =>
  m.malformed && !m.method && !m.status
    ? t('malformed')
    : m.status ? `${m.status} ${m.reason ?? ''}`.trim() : m.method || t('unknown');

export function uriShort(uri) {
  if (!uri) return '';
  const bare = uri.replace(/^"?[^<"]*"?\s*</, '').replace(/>.*$/, '');
  return bare.replace(/^(sips?|pres|im|tel):/i, '').replace(/[;?].*$/, '');
}

export const dialogKind = kind => ({
  call: t('Call'),
  chat: t('Chat'),
  presence: t('Presence'),
  registration: t('Registration'),
  options: t('Keep-alive'),
  other: t('Other'),
}[kind] ?? kind);

export const MARKS = ['red', 'orange', 'yellow', 'green', 'blue', 'purple'];

export const markName = colour => ({
  red: t('red'),
  orange: t('orange'),
  yellow: t('yellow'),
  green: t('green'),
  blue: t('blue'),
  purple: t('purple'),
}[colour] ?? colour);
