/** Text that can be copied, and commands. */
import {html, hooks} from '../core/base.js';
import {t} from '../core/i18n.js';
import {Icon} from './icon.js';

const {useState, useEffect} = hooks;

/** Put a text into the clipboard; over plain HTTP browsers have only the old way. */
export async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'unseen';
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (!done) throw new Error(t('This browser does not let a page copy.'));
}

/** A button that copies. */
export function Copy({text, title}) {
  const [state, setState] = useState('');
  useEffect(() => {
    if (!state) return undefined;
    const clock = setTimeout(() => setState(''), 1500);
    return () => clearTimeout(clock);
  }, [state]);
  const words = {'': title ?? t('Copy'), done: t('Copied'), failed: t('Cannot be copied')}[state];
  return html`<button type="button" class="icon-button copy" aria-label=${words} title=${words}
      onClick=${(event) => { event.stopPropagation(); copy(text).then(() => setState('done'), () => setState('failed')); }}>
    <${Icon} name=${state === 'done' ? 'check' : state === 'failed' ? 'bad' : 'copy'} /></button>`;
}

/** The command that does the same: `<Command text="sipx status" />`. */
export function Command({text}) {
  return html`<span class="command"><code>${text}</code><${Copy} text=${text} title=${t('Copy as command')} /></span>`;
}
