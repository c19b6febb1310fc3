/** A state: never colour alone, an icon and a word. */
import {html} from '../core/base.js';
import {Icon} from './icon.js';

const ICONS = {ok: 'ok', warn: 'warn', bad: 'bad', off: 'off', info: 'info', busy: 'clock'};

/** `kind`: ok, warn, bad, off, info, busy. */
export function Badge({kind = 'info', text, title}) {
  return html`<span class=${`badge badge-${kind}`} title=${title}>
    ${kind === 'busy' ? html`<span class="spinner" aria-hidden="true"></span>` : html`<${Icon} name=${ICONS[kind] ?? 'info'} />`}
    <span>${text}</span></span>`;
}
