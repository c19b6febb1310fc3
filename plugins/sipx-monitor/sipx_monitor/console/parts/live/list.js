// A list of any length of which only what is seen is in the document. Rows have one fixed height.

import {hooks, html, t} from 'sipx';
import {clock, titleOf, uriShort} from './words.js';
import {chosen, template, what} from './columns.js';

const {useLayoutEffect, useEffect, useRef, useState, useMemo} = hooks;

const DENSE = 24;
const CARD = 46;
const HEAD = 28;
const NARROW = 430;
const MORE = 8;

export function useStore(store) {
  const [, draw] = useState(0);
  useEffect(() => store.listen(() => draw(n => n + 1)), [store]);
}

function useSize(ref) {
  const [size, set] = useState({width: 0, height: 0});
  useLayoutEffect(() => {
    const seen = new ResizeObserver(([entry]) => {
      const {width, height} = entry.contentRect;
      set(old => (old.width === width && old.height === height ? old : {width, height}));
    });
    seen.observe(ref.current);
    return () => seen.disconnect();
  }, []);
  return size;
}

const missingText = row => {
  if (row.paused) return t('{count} messages that came during the pause were too many to be held', {count: row.dropped});
  if (row.dropped) return t('{count} messages dropped here: this browser was too slow for them', {count: row.dropped});
  return t('A gap: the link was lost, and what came meanwhile is no longer kept');
};

const card = m => html`
  <span class="live-card-1"><span class="live-clock">${clock(m.time)}</span>${what(m)}</span>
  <span class="live-card-2">${uriShort(m.from_uri)} <span class="live-to" aria-hidden="true">→</span> ${uriShort(m.to_uri || m.uri)}</span>`;

export function VirtualList({store, columns: all, hidden, active, selected, follow, onFollow, onActive, onOpen, onToggle, label, empty}) {
  useStore(store);
  const box = useRef(null);
  const size = useSize(box);
  const [top, setTop] = useState(0);
  const drawn = useRef(new WeakMap());
  const shift = useRef({prepended: 0, removed: 0});
  const wanted = useRef(null);

  const narrow = size.width > 0 && size.width < NARROW;
  const columns = useMemo(() => chosen(all, hidden, size.width - 4), [all, hidden, size.width]);
  useMemo(() => { drawn.current = new WeakMap(); }, [columns, narrow]);
  const height = narrow ? CARD : DENSE;
  const head = narrow ? 0 : HEAD;
  const rows = store.rows;

  // Rows that leave or come at the front must not move what is read.
  useLayoutEffect(() => {
    const was = shift.current;
    const by = store.prepended - was.prepended - (store.removed - was.removed);
    shift.current = {prepended: store.prepended, removed: store.removed};
    const element = box.current;
    if (follow) element.scrollTop = element.scrollHeight;
    else if (by) {
      element.scrollTop += by * height;
      setTop(element.scrollTop);
    }
  });

  // The active row stays in view when it was moved by a key.
  useLayoutEffect(() => {
    if (active === null || wanted.current === active) return;
    wanted.current = active;
    const index = store.indexOf(active);
    const element = box.current;
    const at = index * height;
    if (at < element.scrollTop) element.scrollTop = at;
    else if (at + height > element.scrollTop + element.clientHeight - head) element.scrollTop = at + height + head - element.clientHeight;
  }, [active, height]);

  // Scrolling is told a frame later: the list may be gone by then.
  const onScroll = ({currentTarget: element}) => {
    if (!element.isConnected) return;
    setTop(element.scrollTop);
    const end = element.scrollTop + element.clientHeight >= element.scrollHeight - height / 2;
    if (end !== follow) onFollow(end);
  };

  const page = Math.max(1, Math.floor((size.height - head) / height));
  const start = Math.max(0, Math.min(rows.length - page, Math.floor((follow ? rows.length * height : top) / height)) - MORE);
  const end = Math.min(rows.length, start + page + 2 * MORE + 1);

  // Rows are numbered from the first that ever came, and their elements are used again and again.
  const ring = page + 2 * MORE + 2;
  const origin = store.removed - store.prepended;
  const keyOf = index => (((index + origin) % ring) + ring) % ring;

  const row = (m, index) => {
    const isActive = m.seq === active;
    const isSelected = selected.has(m.seq);
    const kept = drawn.current.get(m);
    if (kept && kept.isActive === isActive && kept.isSelected === isSelected && kept.index === index && kept.key === keyOf(index)) return kept.node;
    const node = m.missing
      ? html`<div class="live-row live-missing" role="row" key=${`gap ${m.seq}`} aria-rowindex=${index + 2}>
          <div role="gridcell" aria-colspan=${columns.length}><span aria-hidden="true">⚠</span> ${missingText(m)}</div></div>`
      : html`<div class=${`live-row leg-${(m.leg ?? 0) % 6}${isActive ? ' is-active' : ''}${isSelected ? ' is-selected' : ''}${m.retransmission ? ' is-again' : ''}${m.malformed ? ' is-bad' : ''}${m.marked ? ` is-marked m-${m.marked}` : ''}`}
          role="row" key=${keyOf(index)} id=${`live-${m.seq}`} data-seq=${m.seq} aria-rowindex=${index + 2}
          aria-selected=${isSelected || isActive ? 'true' : 'false'}>
          ${narrow
            ? html`<div role="gridcell" class="live-card">${card(m)}</div>`
            : columns.map(column => html`<div role="gridcell" class=${`live-cell k-${column.id}${column.align === 'end' ? ' a-end' : ''}`}
                title=${column.tip ? column.tip(m) : null}>${column.render(m)}</div>`)}
        </div>`;
    drawn.current.set(m, {isActive, isSelected, index, key: keyOf(index), node});
    return node;
  };

  const seqAt = event => {
    const found = event.target.closest('[data-seq]');
    return found ? Number(found.dataset.seq) : null;
  };
  const onClick = event => {
    const seq = seqAt(event);
    if (seq === null) return;
    if (event.ctrlKey || event.metaKey) onToggle([seq]);
    else if (event.shiftKey && active !== null) {
      const [a, b] = [store.indexOf(active), store.indexOf(seq)].sort((x, y) => x - y);
      onToggle(rows.slice(a, b + 1).filter(m => !m.missing).map(m => m.seq), true);
    } else onActive(seq);
  };
  const shownActive = active !== null && rows.slice(start, end).some(m => m.seq === active);

  return html`
    <div class=${`live-grid${narrow ? ' is-narrow' : ''}`} role="grid" aria-label=${label} aria-rowcount=${rows.length + 1} aria-multiselectable="true"
      tabindex="0" aria-activedescendant=${shownActive ? `live-${active}` : null} ref=${box} onScroll=${onScroll} onClick=${onClick}
      onMouseDown=${event => { if (event.shiftKey) event.preventDefault(); }}
      onDblClick=${event => { const seq = seqAt(event); if (seq !== null) onOpen(seq); }}
      style=${{'--live-cols': template(columns, size.width - 4)}}>
      <div class=${narrow ? 'live-sr' : 'live-head'} role="rowgroup"><div class="live-row" role="row" aria-rowindex="1">
        ${columns.map(column => html`<div role="columnheader" key=${column.id} class=${`live-cell k-${column.id}${column.align === 'end' ? ' a-end' : ''}`}>${column.short ? html`<span class="live-sr">${column.title}</span>` : column.title}</div>`)}
      </div></div>
      <div class="live-space" role="presentation" style=${{height: `${rows.length * height}px`}}>
        <div class="live-window" role="rowgroup" style=${{transform: `translateY(${start * height}px)`}}>
          ${rows.slice(start, end).map((m, i) => row(m, start + i))}
        </div>
      </div>
      ${rows.length === 0 ? html`<div class="live-none">${empty}</div>` : null}
    </div>`;
}
