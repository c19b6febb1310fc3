/** The difference of two texts, as `diff -u` writes it. */
import {html} from '../core/base.js';
import {t} from '../core/i18n.js';

function kind(line) {
  if (line.startsWith('+++') || line.startsWith('---') || line.startsWith('@@')) return 'place';
  return {'+': 'added', '-': 'removed'}[line[0]] ?? 'same';
}

export function Diff({lines}) {
  if (!lines.length) return html`<p class="muted">${t('Nothing is different.')}</p>`;
  return html`<pre class="diff" tabindex="0" role="group" aria-label=${t('Difference')}>
    ${lines.map((line, index) => html`<span key=${index} class=${`diff-${kind(line)}`}>${line.replace(/\n$/, '') || ' '}</span>`)}</pre>`;
}
