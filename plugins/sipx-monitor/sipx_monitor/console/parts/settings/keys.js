// Keys of the configuration file, as TOML writes them, and what is drafted below them.
import {draft} from 'sipx';

/** A part of a key: quoted where TOML wants it. */
export function quoted(name) {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
}

/** The key of a table: `table('static-routes.route', 'partner.example')`. */
export function table(prefix, name) {
  return `${prefix}.${quoted(name)}`;
}

/** A list of the draft, also where the file has a single value or nothing. */
export function listOf(key) {
  const value = draft.value(key);
  if (value === undefined || value === null || value === '') return [];
  return Array.isArray(value) ? value : [value];
}

/** Seconds since 1970 of what the control API gives as a time: a number, or an ISO date. */
export function seconds(value) {
  if (value === null || value === undefined || value === '') return null;
  return typeof value === 'number' ? value : Date.parse(value) / 1000;
}

/** A server with its port, IPv6 in brackets. */
export function place(host, port) {
  const shown = String(host).includes(':') ? `[${host}]` : host;
  return port ? `${shown}:${port}` : shown;
}
