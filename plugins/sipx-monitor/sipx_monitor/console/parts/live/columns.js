// The columns of the list. Where there is no room for all, those with the highest `rank` go first.

import {fmt, html, t} from 'sipx';
import {MARKS, SIGNS, classOf, clock, markName, seconds, titleOf, uriShort} from './words.js';

const endpoints = m => html`
  <span class="live-ep">${m.source}</span><span class="live-to" aria-hidden="true">→</span
  ><span class="live-ep">${m.target}</span>`;

export const what = m => html`
  <span class=${`live-what c-${m.malformed ? 'bad' : classOf(m.status)}`}>
    <span class="live-sign" aria-hidden="true">${m.malformed ? '⚠' : SIGNS[classOf(m.status)] ?? '▸'}</span>
    <b>${titleOf(m)}</b>
    ${m.status ? html`<span class="live-of">${m.method}</span>` : null}
    ${m.malformed && (m.method || m.status) ? html`<span class="live-tag t-bad">${t('malformed')}</span>` : null}
    ${m.sdp ? html`<span class="live-tag">SDP</span>` : null}
    ${m.retransmission ? html`<span class="live-tag t-again" title=${t('A retransmission')}>↻ ${t('again')}</span>` : null}
  </span>`;

const mark = m => m.marked
  ? html`<span class=${`live-mark m-${MARKS.includes(m.marked) ? m.marked : 'blue'}`}
      title=${m.note || t('Marked {colour}', {colour: markName(m.marked)})}>
      <span class="live-sr">${t('Marked {colour}', {colour: markName(m.marked)})}</span></span>`
  : null;

const legTip = m => (m.direction === 'in'
  ? t('Leg {number}: came in from {remote}', {number: m.leg, remote: m.peer || m.remote})
  : t('Leg {number}: went out to {remote}', {number: m.leg, remote: m.peer || m.remote}));

const leg = m => html`<span class=${`live-leg l-${(m.leg ?? 0) % 6}`}
  title=${legTip(m)}>${m.direction === 'in' ? '↘' : '↗'}${m.leg}</span>`;

export const COLUMNS = () => [
  {id: 'seq', title: '#', width: 54, rank: 6, align: 'end', render: m => m.seq},
  {id: 'time', title: t('Time'), width: 98, rank: 0, render: m => clock(m.time)},
  {id: 'leg', title: t('Leg'), width: 46, rank: 3, render: leg},
  {id: 'what', title: t('Message'), width: 162, ideal: 172, grow: 0.6, rank: 0, render: what},
  {id: 'from', title: t('From'), width: 112, ideal: 170, grow: 2, rank: 1, render: m => uriShort(m.from_uri), tip: m => m.from_uri},
  {id: 'to', title: t('To'), width: 112, ideal: 170, grow: 2, rank: 1, render: m => uriShort(m.to_uri || m.uri), tip: m => m.to_uri || m.uri},
  {id: 'way', title: t('Source → target'), width: 228, grow: 0.2, rank: 4, render: endpoints, tip: m => `${m.source} → ${m.target}`},
  {id: 'peer', title: t('Peer'), width: 90, grow: 0.4, rank: 12, off: true, render: m => m.peer, tip: m => m.peer},
  {id: 'interface', title: t('Interface'), width: 86, rank: 8, render: m => m.interface, tip: m => m.interface},
  {id: 'transport', title: t('Transport'), width: 78, rank: 9, render: m => (m.transport ?? '').toUpperCase()},
  {id: 'size', title: t('Size'), width: 56, rank: 10, align: 'end', render: m => fmt.number(m.size)},
  {id: 'rtt', title: t('RTT'), width: 70, rank: 5, align: 'end', render: m => seconds(m.rtt)},
  {id: 'callid', title: 'Call-ID', width: 140, grow: 0.5, rank: 11, off: true, render: m => m.call_id, tip: m => m.call_id},
  {id: 'cseq', title: 'CSeq', width: 90, rank: 11, off: true, render: m => m.cseq},
  {id: 'mark', title: t('Mark'), short: true, width: 26, rank: 2, render: mark},
];

/** What a plugin's column shows; one that throws is a cell that says so, and the list goes on. */
const guarded = ({id, render}) => m => {
  try {
    return render(m);
  } catch (error) {
    console.error(`The column ${id} failed:`, error);
    return html`<span class="live-tag t-bad" title=${error.message}>${t('failed')}</span>`;
  }
};

/** A column of a plugin as one of ours: titles are translated, and it leaves when room is short. */
export const foreign = column => ({
  rank: 5, ...column, title: t(column.title), width: Number.parseInt(column.width ?? 90, 10),
  align: ['right', 'end'].includes(column.align) ? 'end' : undefined, render: guarded(column),
});

const NICE = 7;

export function chosen(all, hidden, width) {
  let shown = all.filter(column => !hidden.has(column.id));
  while (shown.length) {
    const worst = shown.reduce((a, b) => (b.rank >= a.rank ? b : a));
    // What is only nice to have must leave the others the room they would like.
    const need = shown.reduce((sum, column) => sum + ((worst.rank >= NICE && column.ideal) || column.width), 0);
    if (need <= width || worst.rank === 0) break;
    shown = shown.filter(column => column !== worst);
  }
  return shown;
}

// Widths in pixels: a grid of fixed widths is laid out much faster than one of fractions.
export function template(columns, width) {
  const left = Math.max(0, width - columns.reduce((sum, column) => sum + column.width, 0));
  const shares = columns.reduce((sum, column) => sum + (column.grow ?? 0), 0);
  return columns.map(column => `${Math.floor(column.width + (shares ? left * (column.grow ?? 0) / shares : 0))}px`).join(' ');
}
