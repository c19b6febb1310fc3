/** What pages and plugins bring: pages, panels, columns of the list of messages, words of filters. */
import {signal} from './base.js';

/** The version of this API. It grows only by what may be overlooked. */
export const api = 1;

export const pages = signal([]);
export const panels = signal([]);
export const columns = signal([]);
export const filterHelp = signal([]);
/** Modules that could not be loaded: {module, error}. */
export const failures = signal([]);

function added(list, entry, what) {
  if (!entry.id || !entry.title) throw new TypeError(`${what} needs an id and a title`);
  const others = list.value.filter((one) => one.id !== entry.id);
  list.value = [...others, entry].sort((a, b) => (a.order ?? 100) - (b.order ?? 100));
}

/** The plugin whose module is being loaded, "" for those of sipx. */
export const loading = {plugin: ''};

/** `{id, title, group: 'watch'|'setup'|'run'|'help', order, icon, Page, help, command}` */
export function registerPage(page) {
  added(pages, {group: 'run', icon: 'page', plugin: loading.plugin, ...page}, 'A page');
}

/** `{id, title, icon, page, order, Panel}`: a part of a page, below what the page itself shows. */
export function registerPanel(panel) {
  added(panels, {page: 'overview', icon: 'chart', plugin: loading.plugin, ...panel}, 'A panel');
}

/** A column of the list of messages: `{id, title, render(message), width, align, mono}`. */
export function registerColumn(column) {
  added(columns, column, 'A column');
}

/** More about a word of the filter language: `{id, title, text, example}`. */
export function registerFilterHelp(help) {
  added(filterHelp, help, 'Help for a filter');
}
