// "Why was this routed there": what sipx decided for one transaction, step by step.

import {html, t} from 'sipx';
import {clock, seconds} from './words.js';

const stepName = step => ({
  refused: t('Refused'),
  sender: t('Who sent it'),
  route: t('Along the route'),
  served: t('Served here'),
  targets: t('Where to'),
  hops: t('Which hops'),
  branch: t('Sent on'),
  failover: t('Next hop'),
  answer: t('Answer'),
}[step] ?? step);

const SIGN = {refused: '✕', sender: '☺', route: '↦', served: '⌂', targets: '◎', hops: '⋯', branch: '→', failover: '⤳', answer: '←'};

const plain = value => value === null || typeof value !== 'object';
const shown = value => (value === true ? t('yes') : value === false ? t('no') : value === null || value === '' ? '–' : String(value));
const nothing = value => value === null || value === undefined || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);

function Rows({rows}) {
  const names = [...new Set(rows.flatMap(row => Object.keys(row)))].filter(name => rows.some(row => !nothing(row[name])));
  return html`<div class="dec-wide"><table class="live-table dec-rows">
    <thead><tr>${names.map(name => html`<th scope="col" key=${name}>${name}</th>`)}</tr></thead>
    <tbody>${rows.map((row, index) => html`<tr key=${index}>${names.map(name => html`<td key=${name}><${Value} value=${row[name] ?? null} /></td>`)}</tr>`)}</tbody>
  </table></div>`;
}

function Value({value}) {
  if (plain(value)) return html`<span class="dec-value">${shown(value)}</span>`;
  if (Array.isArray(value)) {
    if (value.length === 0) return html`<span class="live-muted">–</span>`;
    if (value.every(plain)) return html`<span class="dec-value">${value.map(shown).join(', ')}</span>`;
    if (value.every(one => !plain(one) && !Array.isArray(one))) return html`<${Rows} rows=${value} />`;
    return html`<ol class="dec-list">${value.map((one, index) => html`<li key=${index}><${Value} value=${one} /></li>`)}</ol>`;
  }
  return html`<${Facts} data=${value} />`;
}

const Facts = ({data}) => html`<dl class="dec-facts">
  ${Object.entries(data).filter(([, value]) => !nothing(value)).map(([name, value]) => html`
    <div key=${name}><dt>${name.replaceAll('_', ' ')}</dt><dd><${Value} value=${value} /></dd></div>`)}
</dl>`;

export function Decision({decision}) {
  const {steps = [], complete} = decision;
  if (steps.length === 0) {
    return html`<p class="live-pane-note">${t('No decision is kept for this message. Decisions are recorded while somebody watches, for requests that came in.')}</p>`;
  }
  const begin = steps[0].time;
  return html`
    <div class="dec" tabindex="0" role="region" aria-label=${t('Decision trace')}>
      <ol class="dec-steps">
        ${steps.map((step, index) => html`
          <li key=${index} class=${`dec-step s-${step.step}`}>
            <span class="dec-sign" aria-hidden="true">${SIGN[step.step] ?? '•'}</span>
            <div class="dec-main">
              <div class="dec-head"><b>${stepName(step.step)}</b>
                <span class="live-muted live-num" title=${clock(step.time)}>+${seconds(Math.max(0, step.time - begin))}</span></div>
              <p>${step.text}</p>
              ${nothing(step.data) ? null : html`<details><summary>${t('Details')}</summary><${Facts} data=${step.data} /></details>`}
            </div>
          </li>`)}
      </ol>
      ${complete ? null : html`<p class="live-pane-note"><span aria-hidden="true">…</span> ${t('Not finished yet, or the beginning was not recorded.')}</p>`}
    </div>`;
}
