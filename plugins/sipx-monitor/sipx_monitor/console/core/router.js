/** Where we are: `#/routes?domain=x`. */
import {effect, signal} from './base.js';

function read() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return {page: decodeURIComponent(path) || 'overview', params: Object.fromEntries(new URLSearchParams(query))};
}

/** {page, params} */
export const route = signal(read());

addEventListener('hashchange', () => { route.value = read(); });

/** The address of a page, for links. */
export function href(page, params = {}) {
  const kept = Object.entries(params).filter(([, value]) => value !== '' && value !== null && value !== undefined);
  const query = new URLSearchParams(kept).toString();
  return `#/${encodeURIComponent(page)}${query ? `?${query}` : ''}`;
}

/** Go to a page; with `replace` the way back leads past where we are. */
export function navigate(page, params = {}, {replace = false} = {}) {
  const address = href(page, params);
  if (!replace) {
    location.hash = address;
    return;
  }
  history.replaceState(null, '', address);
  route.value = read();
}

/** Call `fn` with each page that is come to, but not for other parameters of the same. */
export function onPage(fn) {
  let before = null;
  return effect(() => {
    const {page} = route.value;
    if (page !== before) fn(page, before);
    before = page;
  });
}
