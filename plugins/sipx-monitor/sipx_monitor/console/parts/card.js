/** Pages and the cards on them. */
import {classes, html, useId} from '../core/base.js';
import {t} from '../core/i18n.js';
import {href} from '../core/router.js';
import {Command} from './copy.js';
import {Icon} from './icon.js';

/**
 * A page: its title, a sentence, what can be done with all of it, help, the command that does the
 * same. `wide` takes all the width, `fill` also exactly the height that there is.
 */
export function Page({title, lead, actions, help, command, wide = false, fill = false, children}) {
  return html`<div class=${classes('page', (wide || fill) && 'page-wide', fill && 'page-fill')}>
    <header class="page-head">
      <div class="page-title">
        <h1 tabindex="-1">${title}</h1>
        ${help && html`<a class="help-link" href=${href('help', {topic: help})} aria-label=${t('Help about {title}', {title})}
          title=${t('Help')}><${Icon} name="help" /></a>`}
      </div>
      ${actions && html`<div class="page-actions">${actions}</div>`}
      ${lead && html`<p class="lead">${lead}</p>`}
      ${command && html`<${Command} text=${command} />`}
    </header>
    ${children}
  </div>`;
}

/** A card: a part of a page under a heading of its own. */
export function Card({title, icon, actions, lead, flush = false, class: own, children}) {
  const id = useId('card');
  return html`<section class=${classes('card', flush && 'card-flush', own)} aria-labelledby=${title ? id : undefined}>
    ${(title || actions) && html`<header class="card-head">
      ${title && html`<h2 id=${id}>${icon && html`<${Icon} name=${icon} />`}${title}</h2>`}
      ${actions && html`<div class="card-actions">${actions}</div>`}
    </header>`}
    ${lead && html`<p class="card-lead">${lead}</p>`}
    <div class="card-body">${children}</div>
  </section>`;
}
