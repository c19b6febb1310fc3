// Two messages side by side, header by header, with the reason where sipx is the reason.

import {hooks, html, t} from 'sipx';
import {clock, titleOf} from './words.js';

const {useState} = hooks;

const opName = op => ({
  same: t('same'),
  changed: t('changed'),
  added: t('added'),
  removed: t('removed'),
  moved: t('moved'),
}[op] ?? op);
const SIGN = {same: '=', changed: '≠', added: '+', removed: '−', moved: '↕'};

const side = (m, letter) => html`
  <span class="cmp-side"><b>${letter}</b> <span class="live-num">#${m.seq}</span> ${titleOf(m)}${' '}
    <span class="live-muted">${clock(m.time)} · ${m.source} → ${m.target}</span></span>`;

// The characters that two values do not share, between what they begin and end with alike.
function parts(a, b) {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  return [start, end];
}

// The server sends whole lines; the name stands in a column of its own.
const bare = (text, name) => (name && text?.toLowerCase().startsWith(`${name.toLowerCase()}:`) ? text.slice(name.length + 1).trimStart() : text);

function value(text, other, op) {
  if (text === null || text === undefined || text === '') return null;
  if (op !== 'changed' || !other) return text;
  const [start, end] = parts(text, other);
  const middle = text.slice(start, text.length - end);
  return html`${text.slice(0, start)}${middle ? html`<mark>${middle}</mark>` : null}${text.slice(text.length - end)}`;
}

export function Difference({diff, own = false}) {
  const [all, setAll] = useState(false);
  const lines = all ? diff.lines : diff.lines.filter(line => line.op !== 'same');
  const same = diff.lines.length - diff.lines.filter(line => line.op !== 'same').length;
  return html`
    <div class="cmp">
      <div class="cmp-bar">
        <div class="cmp-sides">${side(diff.a, 'A')}${side(diff.b, 'B')}</div>
        ${same ? html`<button type="button" class="live-link" aria-pressed=${all ? 'true' : 'false'} onClick=${() => setAll(!all)}>
          ${all ? t('Only what differs') : t('Also the {count} that are the same', {count: same})}</button>` : null}
      </div>
      ${lines.length === 0
        ? html`<p class="live-pane-note">${own ? t('sipx changed nothing in this message.') : t('The two messages are the same.')}</p>`
        : html`<div class="cmp-scroll" tabindex="0" role="region" aria-label=${t('Differences')}><table class="cmp-table">
          <thead><tr><th scope="col">${t('Change')}</th><th scope="col">${t('Header')}</th>
            <th scope="col">A</th><th scope="col">B</th></tr></thead>
          <tbody>${lines.map((line, index) => html`
            <tr key=${index} role="row" class=${`d-${line.op}`}>
              <td role="cell" class="cmp-op"><span aria-hidden="true">${SIGN[line.op] ?? '?'}</span> ${opName(line.op)}</td>
              <th scope="row" role="rowheader">${line.name}</th>
              <td role="cell" class="cmp-a">${value(bare(line.a, line.name), bare(line.b, line.name), line.op)}${line.why && !line.b ? html`<div class="cmp-why">${line.why}</div>` : null}</td>
              <td role="cell" class="cmp-b">${value(bare(line.b, line.name), bare(line.a, line.name), line.op)}${line.why && line.b ? html`<div class="cmp-why">${line.why}</div>` : null}</td>
            </tr>`)}</tbody></table></div>`}
    </div>`;
}
