/** The keys of a page, and choosing other ones. */
import {html, hooks, prefer, preferences} from './base.js';
import {boundHere, keyName} from './hints.js';
import {t} from './i18n.js';
import {bindings, keyFor, keyOfEvent, rebindKey} from './keys.js';
import {route} from './router.js';
import {Button} from '../parts/button.js';

const {useState} = hooks;

/** Who has a key already on this page, other than `mine`. */
function holderOf(key, mine, page) {
  return bindings.value.find((one) => one !== mine && keyFor(one) === key && (!one.page || one.page === page));
}

export function KeyList() {
  const [waiting, setWaiting] = useState(null);
  const [problem, setProblem] = useState('');
  const {page} = route.value;
  const chosen = Object.keys(preferences.value.keys ?? {}).length > 0;

  function pressed(event, binding) {
    const key = keyOfEvent(event);
    if (waiting !== binding || !key || key === 'Tab') return;
    event.preventDefault();
    event.stopPropagation();
    if (key === 'Escape') {
      setWaiting(null);
      return;
    }
    const holder = holderOf(key, binding, page);
    if (holder) {
      setProblem(t('{key} is taken: {label}', {key: keyName(key), label: holder.label || t('Pages')}));
      return;
    }
    rebindKey(binding, key);
    setProblem('');
    setWaiting(null);
  }
  function ask(binding) {
    setProblem('');
    setWaiting(binding);
  }
  return html`<div class="subtable-head"><h3>${t('Keys on this page')}</h3>
      ${chosen && html`<${Button} small icon="undo" onClick=${() => prefer({keys: {}})}>${t('All as they were')}<//>`}</div>
    <p class="muted">${t('Press a button, then the key that it shall have.')}</p>
    <p class="problem" role="alert" hidden=${!problem}>${problem}</p>
    <dl class="keys">${boundHere(page).map((one) => html`<div key=${one.page + one.key}>
      <dt><button type="button" class="key-button" aria-label=${t('{label}: key {key}', {label: one.label, key: keyName(keyFor(one))})}
        onClick=${() => ask(one)} onKeyDown=${(event) => pressed(event, one)} onBlur=${() => setWaiting(null)}>
        <kbd>${waiting === one ? t('Press …') : keyName(keyFor(one))}</kbd></button></dt><dd>${one.label}</dd></div>`)}
      <div><dt><kbd>Alt 1</kbd> … <kbd>Alt 9</kbd></dt><dd>${t('Pages')}</dd></div>
    </dl>`;
}
