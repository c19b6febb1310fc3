// The ladder: one column per endpoint, sipx in its own, one arrow per message. It is a list to the
// keyboard and to screen readers, and has a table as its twin.

import {hooks, html, t, useId} from 'sipx';
import {SIGNS, clock, seconds} from './words.js';

const {useEffect, useLayoutEffect, useRef, useState} = hooks;

const HEAD = 46;
const STEP = 34;
const RIGHT = 14;
const WIDE = {left: 98, least: 118};
const COMPACT = {left: 58, least: 88};     // without the time of day
const ENOUGH = 430;
const MANY = 400;
const GAP = 1;          // seconds without a message that are worth a break in the drawing

export const signOf = cls => SIGNS[cls] ?? '▸';

const offset = value => `+${seconds(Math.max(0, value ?? 0))}`;

function sentence(step, participants) {
  const parts = [
    clock(step.time),
    step.label,
    t('from {source} to {target}', {source: participants[step.source]?.label ?? '', target: participants[step.target]?.label ?? ''}),
  ];
  if (step.sdp) parts.push(t('with SDP'));
  if (step.retransmission) parts.push(t('retransmission'));
  if (step.transport) parts.push(step.transport.toUpperCase());
  if (step.note) parts.push(step.note);
  return parts.join(', ');
}

const fit = (text, width, letter = 6.6) => {
  const most = Math.max(4, Math.floor(width / letter));
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
};

// Where each step stands: a long silence takes half a step more, and says how long it was.
function laid(steps) {
  let y = HEAD + 26;
  return steps.map((step, index) => {
    const gap = index > 0 ? step.gap ?? step.time - steps[index - 1].time : 0;
    const silent = gap >= GAP;
    if (silent) y += 24;
    const at = {step, index, y, gap: silent ? gap : 0};
    y += STEP;
    return at;
  });
}

function Arrow({place, x1, x2, left, active, selected, id, label}) {
  const {step, y} = place;
  const toRight = x2 >= x1;
  const own = x1 === x2;
  const back = own || !toRight ? 9 : -9;
  const middle = own ? x1 + 30 : (x1 + x2) / 2;
  const room = own ? 120 : Math.abs(x2 - x1) - 24;
  const text = `${step.label}${step.sdp ? ' (SDP)' : ''}`;
  const path = own ? `M ${x1} ${y - 6} h 24 v 12 h -24` : `M ${x1} ${y} H ${x2}`;
  const headX = own ? x1 : x2;
  const headY = own ? y + 6 : y;
  return html`
    <g id=${id} role="option" aria-label=${label} aria-selected=${active || selected ? 'true' : 'false'} data-seq=${step.seq}
      class=${`lad-step c-${step.cls} leg-${(step.leg ?? 0) % 6}${active ? ' is-active' : ''}${selected ? ' is-selected' : ''}${step.retransmission ? ' is-again' : ''}`}>
      <rect class="lad-hit" x="0" y=${y - 20} width="100%" height=${STEP} />
      ${left === WIDE.left ? html`<text class="lad-time" x="8" y=${y + 1}>${clock(step.time)}</text>` : null}
      <text class="lad-offset" x="8" y=${y + (left === WIDE.left ? 12 : 3)}>${offset(step.offset)}</text>
      <path class="lad-line" d=${path} />
      <path class="lad-tip" d=${`M ${headX} ${headY} l ${back} -4.5 v 9 z`} />
      ${step.marked ? html`<circle class=${`lad-mark m-${step.marked}`} cx=${left - 6} cy=${y - 3} r="4" />` : null}
      <text class="lad-label" x=${middle} y=${y - 6} text-anchor=${own ? 'start' : 'middle'}><tspan class="lad-sign">${signOf(step.cls)} </tspan>${fit(text, room)}${step.retransmission ? html`<tspan class="lad-again"> ↻</tspan>` : null}</text>
      ${step.note && !own ? html`<text class="lad-note" x=${middle} y=${y + 12} text-anchor="middle">${fit(step.note, room, 5.4)}</text>` : null}
    </g>`;
}

export function Ladder({ladder, active = null, selected = new Set(), onSelect, onOpen, table = false, label}) {
  const box = useRef(null);
  const id = useId('ladder');
  const [width, setWidth] = useState(560);
  const [all, setAll] = useState(false);

  useLayoutEffect(() => {
    if (!box.current) return undefined;
    const seen = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    seen.observe(box.current);
    return () => seen.disconnect();
  }, [table]);

  const participants = ladder?.participants ?? [];
  const every = ladder?.steps ?? [];
  const steps = all || every.length <= MANY ? every : every.slice(-MANY);

  useEffect(() => {
    if (active === null) return;
    const step = box.current?.querySelector(`[data-seq="${active}"]`);
    if (!step) return;
    const outer = box.current.getBoundingClientRect();
    const inner = step.getBoundingClientRect();
    if (inner.top < outer.top + HEAD) box.current.scrollTop += inner.top - outer.top - HEAD - 8;
    else if (inner.bottom > outer.bottom) box.current.scrollTop += inner.bottom - outer.bottom + 8;
  }, [active, steps.length, table]);

  if (!ladder) return null;
  if (table) return html`<${LadderTable} ladder=${ladder} active=${active} onSelect=${onSelect} />`;

  const count = Math.max(1, participants.length);
  const {left, least} = width < ENOUGH ? COMPACT : WIDE;
  const total = Math.max(width, left + RIGHT + count * least);
  const column = (total - left - RIGHT) / count;
  const x = index => left + column * (index + 0.5);
  const places = laid(steps);
  const height = (places.at(-1)?.y ?? HEAD) + 28;

  const onKey = event => {
    const index = steps.findIndex(step => step.seq === active);
    const to = {ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: steps.length - 1}[event.key];
    if (to !== undefined && steps[to]) {
      event.preventDefault();
      event.stopPropagation();
      onSelect?.(steps[to].seq);
    } else if (event.key === 'Enter' && index >= 0) {
      event.stopPropagation();
      onOpen?.(active);
    }
  };
  const pick = event => {
    const step = event.target.closest?.('[data-seq]');
    if (step) onSelect?.(Number(step.dataset.seq), event);
  };
  const shown = steps.some(step => step.seq === active);

  return html`
    <div class="lad" ref=${box}>
      ${every.length > steps.length ? html`<button type="button" class="live-link lad-more" onClick=${() => setAll(true)}>
        ${t('{count} earlier messages: show all', {count: every.length - steps.length})}</button>` : null}
      <div class="lad-list" role="listbox" tabindex="0" aria-label=${label ?? t('Ladder of {title}', {title: ladder.title})}
        aria-activedescendant=${shown ? `${id}-${active}` : null} onKeyDown=${onKey} onClick=${pick}>
        <svg class="lad-svg" role="presentation" width=${total} height=${height} viewBox=${`0 0 ${total} ${height}`}>
          ${participants.map((who, index) => html`<line class=${`lad-life k-${who.kind}`} x1=${x(index)} x2=${x(index)} y1=${HEAD - 4} y2=${height - 6} />`)}
          ${places.filter(place => place.gap).map(place => html`
            <g class="lad-gap"><line x1=${left} x2=${total - RIGHT} y1=${place.y - 34} y2=${place.y - 34} />
              <text x=${left - 8} y=${place.y - 31} text-anchor="end">${seconds(place.gap)}</text></g>`)}
          ${places.map(place => html`<${Arrow} key=${place.step.seq} place=${place} x1=${x(place.step.source)} x2=${x(place.step.target)} left=${left}
            active=${place.step.seq === active} selected=${selected.has(place.step.seq)} id=${`${id}-${place.step.seq}`}
            label=${sentence(place.step, participants)} />`)}
        </svg>
        <svg class="lad-heads" role="presentation" width=${total} height=${HEAD} viewBox=${`0 0 ${total} ${HEAD}`}>
          <rect class="lad-heads-back" x="0" y="0" width=${total} height=${HEAD} />
          ${participants.map((who, index) => html`<g class=${`lad-who k-${who.kind}`}>
            <rect x=${x(index) - Math.min(column - 6, 200) / 2} y="5" width=${Math.min(column - 6, 200)} height="36" rx="4" />
            <text class="lad-name" x=${x(index)} y=${who.address ? 20 : 27} text-anchor="middle">${fit(column < 190 ? who.label.replace(/ \(.*\)$/, '') : who.label, Math.min(column - 12, 194), 6.9)}</text>
            <text class="lad-address" x=${x(index)} y="34" text-anchor="middle">${fit(who.address ?? '', Math.min(column - 12, 194), 6.3)}</text>
            <title>${`${who.label} ${who.address ?? ''}`}</title></g>`)}
        </svg>
      </div>
    </div>`;
}

function LadderTable({ladder, active, onSelect}) {
  const name = index => ladder.participants[index]?.label ?? '';
  return html`
    <div class="lad lad-as-table">
      <table class="live-table">
        <caption class="live-sr">${t('Ladder of {title}', {title: ladder.title})}</caption>
        <thead><tr>
          <th scope="col">#</th><th scope="col">${t('Time')}</th><th scope="col">${t('Offset')}</th><th scope="col">${t('Message')}</th>
          <th scope="col">${t('From')}</th><th scope="col">${t('To')}</th><th scope="col">${t('Transport')}</th><th scope="col">${t('Leg')}</th>
        </tr></thead>
        <tbody>${ladder.steps.map(step => html`
          <tr key=${step.seq} class=${step.seq === active ? 'is-active' : ''} aria-current=${step.seq === active ? 'true' : null}>
            <td class="a-end"><button type="button" class="live-link" onClick=${() => onSelect?.(step.seq)}>${step.seq}</button></td>
            <td>${clock(step.time)}</td><td class="a-end">${offset(step.offset)}</td>
            <td class=${`c-${step.cls}`}><span aria-hidden="true">${signOf(step.cls)} </span>${step.label}${step.sdp ? ' (SDP)' : ''}${step.retransmission ? ` (${t('retransmission')})` : ''}</td>
            <td>${name(step.source)}</td><td>${name(step.target)}</td><td>${(step.transport ?? '').toUpperCase()}</td><td class="a-end">${step.leg}</td>
          </tr>`)}</tbody>
      </table>
    </div>`;
}
