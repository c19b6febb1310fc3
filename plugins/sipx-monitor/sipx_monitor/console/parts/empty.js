/** Where there is nothing, or nothing yet. */
import {html} from '../core/base.js';
import {t} from '../core/i18n.js';
import {Icon} from './icon.js';

/** Nothing here: why, and what to do about it. A heading only with `level`, where nothing else is one. */
export function Empty({title, text, action, icon, level}) {
  const heading = level ? `h${level}` : 'p';
  return html`<div class="empty">
    ${icon && html`<${Icon} name=${icon} size="28" />`}
    <${heading} class="empty-title" tabindex=${level === '1' ? '-1' : undefined}>${title}<//>
    ${text && html`<p>${text}</p>`}
    ${action && html`<div class="empty-action">${action}</div>`}
  </div>`;
}

/** It is being asked. */
export function Busy({text}) {
  return html`<p class="busy" role="status"><span class="spinner" aria-hidden="true"></span>${text ?? t('One moment …')}</p>`;
}

/** What went wrong, in the words of the server. */
export function Trouble({error, retry}) {
  return html`<p class="problem" role="alert">${error.message}${' '}
    ${retry && html`<button type="button" class="link-button" onClick=${retry}>${t('Try again')}</button>`}</p>`;
}
