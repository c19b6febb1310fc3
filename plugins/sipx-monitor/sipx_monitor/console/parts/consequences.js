/** What a plan means for the running proxy, in words. */
import {html} from '../core/base.js';
import {t} from '../core/i18n.js';
import {Badge} from './badge.js';

/** [kind, text] each. */
export function consequences(plan) {
  if (!plan) return [];
  const named = (list, kind, words) => (list?.length ? [[kind, words({names: list.join(', ')})]] : []);
  return [
    ...named(plan.restart, 'warn', (names) => t('needs a restart of the process: {names}', names)),
    ...named(plan.rebind, 'warn', (names) => t('rebinds {names}', names)),
    ...named(plan.close, 'warn', (names) => t('closes {names}', names)),
    ...named(plan.listen, 'info', (names) => t('opens {names}', names)),
    ...named(plan.start, 'info', (names) => t('starts {names}', names)),
    ...named(plan.stop, 'warn', (names) => t('stops {names}', names)),
    ...named(plan.rebuild, 'info', (names) => t('builds anew {names}', names)),
  ];
}

export function Consequences({plan}) {
  const found = consequences(plan);
  return html`<ul class="plan">${found.map(([kind, text]) => html`<li key=${text}><${Badge} kind=${kind} text=${text} /></li>`)}
    ${!found.length && html`<li><${Badge} kind="ok" text=${t('takes effect at once')} /></li>`}</ul>`;
}
