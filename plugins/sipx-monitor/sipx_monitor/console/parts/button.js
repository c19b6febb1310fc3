/** Buttons, each a real one. */
import {classes, html} from '../core/base.js';
import {Icon} from './icon.js';

/**
 * `kind`: "primary" (the one thing to do here), "danger", "plain", "ghost" (no border).
 * Without words `title` names it. `busy` shows that it works and cannot be pressed again.
 */
export function Button({kind = 'plain', icon, busy = false, onClick, disabled = false, title, type = 'button',
  small = false, children, class: own, ...rest}) {
  const words = [children].flat(Infinity).some((child) => child !== null && child !== undefined && child !== false && child !== '');
  return html`<button ...${rest} type=${type} disabled=${disabled} aria-busy=${busy || undefined} title=${title}
      aria-label=${rest['aria-label'] ?? (words ? undefined : title)}
      class=${classes('button', `button-${kind}`, small && 'button-small', !words && 'button-icon', busy && 'button-busy', own)}
      onClick=${(event) => { if (!busy) onClick?.(event); }}>
    ${busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon && html`<${Icon} name=${icon} />`}
    ${words && html`<span>${children}</span>`}
  </button>`;
}
