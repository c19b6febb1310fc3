/** Keys: single letters that can be switched off, and combinations that always work. */
import {prefer, preferences, signal} from './base.js';
import {route} from './router.js';

/** All that is bound now: {key, fn, page, label, hidden}. */
export const bindings = signal([]);

/**
 * `keys.bind('d', fn, {page: 'live', label: t('Diff')})` gives the function that unbinds.
 * A key is what the event calls it: 'd', 'G', 'Enter', '/', 'F1', or 'Ctrl+k', 'Alt+1'.
 * A binding without `page` works everywhere; one with `hidden` is not in the bar of hints.
 */
export const keys = {
  bind(key, fn, {page = '', label = '', hidden = false} = {}) {
    const mine = {key, fn, page, label, hidden};
    bindings.value = [...bindings.value, mine];
    return () => { bindings.value = bindings.value.filter((one) => one !== mine); };
  },
};

/** The name of a binding in the preferences: its page and the key that it was made with. */
function actionOf({page, key}) {
  return `${page} ${key}`.trim();
}

/** The key of a binding: the one that the reader chose, else its own. */
export function keyFor(binding) {
  return preferences.value.keys?.[actionOf(binding)] ?? binding.key;
}

/** Give a binding another key; its own one takes the choice back. */
export function rebindKey(binding, key) {
  const {[actionOf(binding)]: old, ...others} = preferences.value.keys ?? {};
  prefer({keys: key === binding.key ? others : {...others, [actionOf(binding)]: key}});
}

/** What an event of the keyboard is called; "" for a modifier alone. */
export function keyOfEvent(event) {
  return ['Shift', 'Control', 'Alt', 'Meta', 'AltGraph', 'Dead'].includes(event.key) ? '' : name(event);
}

function name(event) {
  const modifier = event.ctrlKey || event.metaKey ? 'Ctrl+' : event.altKey ? 'Alt+' : '';
  return modifier + (modifier && event.key.length === 1 ? event.key.toLowerCase() : event.key);
}

function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable
    || (target.matches('input, textarea, select') && !target.matches('[type=checkbox], [type=radio]')));
}

/** Whether a key is a single character: those can be switched off (WCAG 2.1.4). */
export function isSingle(key) {
  return key.length === 1;
}

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const key = name(event);
  const plain = !key.includes('+') && !/^F\d+$/.test(key);
  if (plain && (typing(event.target) || document.querySelector('dialog[open]'))) return;
  if (isSingle(key) && !preferences.value.singleKeys) return;
  const {page} = route.value;
  const fits = bindings.value.filter((one) => keyFor(one) === key && (!one.page || one.page === page));
  const found = fits.findLast((one) => one.page) ?? fits.at(-1);
  if (!found) return;
  if (plain && !isSingle(key) && event.target instanceof HTMLElement
    && event.target.closest('button, a, summary, [role=tab], [data-keys]')) return;
  if (found.fn(event) !== false) event.preventDefault();
});
