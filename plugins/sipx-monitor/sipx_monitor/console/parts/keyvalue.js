/** Facts, two columns: `rows=[[label, value, {mono, copy, title}]]`. */
import {classes, html} from '../core/base.js';
import {Copy} from './copy.js';

export function KeyValue({rows}) {
  return html`<dl class="keyvalue">${rows.filter(Boolean).map(([label, value, options = {}]) => html`<div key=${label}>
    <dt>${label}</dt>
    <dd class=${classes(options.mono && 'mono')} title=${options.title}>
      ${value === null || value === undefined || value === '' ? html`<span class="muted">–</span>` : value}
      ${options.copy && value && html`<${Copy} text=${options.copy === true ? String(value) : options.copy} />`}</dd>
  </div>`)}</dl>`;
}
