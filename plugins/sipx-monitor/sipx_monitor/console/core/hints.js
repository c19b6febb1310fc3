/** The bar of hints: which keys do something here. */
import {html, preferences} from './base.js';
import {t} from './i18n.js';
import {bindings, isSingle, keyFor} from './keys.js';
import {route} from './router.js';

const SHOWN = {ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc', ' ': 'Space'};

/** A key as it stands on the keyboard. */
export function keyName(key) {
  const [modifier, name] = key.includes('+') && key.length > 1 ? key.split('+') : ['', key];
  const plain = SHOWN[name] ?? (modifier && name.length === 1 ? name.toUpperCase() : name);
  return modifier ? `${modifier} ${plain}` : plain;
}

/** Those of a page first. */
export function boundHere(page) {
  const mine = bindings.value.filter((one) => one.label && !one.hidden && (!one.page || one.page === page)
    && (preferences.value.singleKeys || !isSingle(keyFor(one))));
  return [...mine.filter((one) => one.page), ...mine.filter((one) => !one.page)];
}

/** As many as there is room for; all of them stand behind `?`. */
export function Hints() {
  if (!preferences.value.hints) return null;
  const all = bindings.value.find(({key}) => key === '?');
  const list = boundHere(route.value.page).filter((one) => one !== all);
  return html`<footer class="hints" aria-label=${t('Keys')}>
    <span class="hints-list">${list.map((one) => html`<span key=${one.key + one.label}><kbd>${keyName(keyFor(one))}</kbd> ${one.label}</span>`)}</span>
    ${all && html`<button type="button" class="link-button" onClick=${all.fn}><kbd>${keyName(keyFor(all))}</kbd> ${all.label}</button>`}
  </footer>`;
}
