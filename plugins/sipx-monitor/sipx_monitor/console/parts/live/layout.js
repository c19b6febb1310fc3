// How the pages that watch use the window: the whole height, two panes and the bar between them.

import {hooks, html, keys, t} from 'sipx';

const {useEffect, useLayoutEffect, useRef, useState} = hooks;

export function useSignal(source) {
  const [value, set] = useState(source.value);
  useEffect(() => source.subscribe(next => set(() => next)), [source]);
  return value;
}

export function useKept(key, first) {
  const [value, set] = useState(() => {
    try {
      return JSON.parse(localStorage.getItem(key)) ?? first;
    } catch {
      return first;
    }
  });
  return [value, next => {
    set(next);
    localStorage.setItem(key, JSON.stringify(next));
  }];
}

// What these keys mean to a button, a choice or a bar between two parts is theirs.
const SHARED = new Set([' ', 'Enter', 'ArrowUp', 'ArrowDown']);
const TAKEN = 'button, a, summary, label, input, select, [role=tab], [role=separator], .live-menu';

// Keys are bound once, before the page is painted: whoever sees it can use them. What they do is
// always what the page would do now.
export function useKeys(page, bindings) {
  const now = useRef(bindings);
  now.current = bindings;
  useLayoutEffect(() => {
    const bound = bindings.map(([key, label], index) => keys.bind(key, event => {
      if (SHARED.has(key) && event?.target?.closest?.(TAKEN)) return false;
      now.current[index][2](event);
      return true;
    }, {page, label}));
    return () => bound.forEach(unbind => unbind?.());
  }, [bindings.map(([key, label]) => `${key} ${label}`).join('\n')]);
}

// The height that is left below the place where the page begins.
export function useFill() {
  const ref = useRef(null);
  useLayoutEffect(() => {
    const element = ref.current;
    const frame = element.closest('.main') ?? document.documentElement;
    const measure = () => {
      const left = frame.getBoundingClientRect().bottom - element.getBoundingClientRect().top - frame.scrollTop;
      element.style.setProperty('--live-height', `${Math.floor(left) - 8}px`);
    };
    measure();
    const seen = new ResizeObserver(measure);
    seen.observe(frame);
    if (element.previousElementSibling) seen.observe(element.previousElementSibling);
    return () => seen.disconnect();
  }, []);
  return ref;
}

// Rows do not move under the pointer: while it is over them their order stands, what has gone is
// still there, and what is new waits to be called for.
export function useHeld(rows, keyOf, about = '') {
  const [held, hold] = useState(null);
  useEffect(() => hold(null), [about]);
  const known = new Map(rows.map(row => [keyOf(row), row]));
  const shown = held ? held.map(row => known.get(keyOf(row)) ?? {...row, gone: true}) : rows;
  const before = held ? new Set(held.map(keyOf)) : null;
  const fresh = before ? rows.filter(row => !before.has(keyOf(row))).length : 0;
  return {
    rows: shown,
    fresh,
    renew: () => hold(rows),
    onPointerMove: event => { if (!held && rows.length && event.pointerType === 'mouse') hold(rows); },
    onPointerLeave: () => hold(null),
  };
}

export const Fresh = ({held}) => (held.fresh === 0 ? null : html`
  <button type="button" class="dlg-fresh" onClick=${held.renew}><span aria-hidden="true">↑</span> ${t('{count} new', {count: held.fresh})}</button>`);

export function Split({mode, first, second, kept, start = 52, label}) {
  const box = useRef(null);
  const [share, setShare] = useKept(kept, start);
  const beside = mode === 'beside';
  const limited = value => Math.min(80, Math.max(20, value));
  const drag = event => {
    event.preventDefault();
    const bar = event.currentTarget;
    bar.setPointerCapture(event.pointerId);
    const move = at => {
      if (!bar.isConnected) return;
      const outer = bar.parentElement.getBoundingClientRect();
      const part = beside ? (at.clientX - outer.left) / outer.width : (at.clientY - outer.top) / outer.height;
      setShare(limited(Math.round(part * 1000) / 10));
    };
    const end = () => {
      bar.removeEventListener('pointermove', move);
      bar.removeEventListener('pointerup', end);
    };
    bar.addEventListener('pointermove', move);
    bar.addEventListener('pointerup', end);
  };
  const onKey = event => {
    const step = {ArrowLeft: -4, ArrowUp: -4, ArrowRight: 4, ArrowDown: 4}[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    setShare(limited(share + step));
  };
  useLayoutEffect(() => box.current.style.setProperty('--live-share', `${share}%`), [share]);
  return html`
    <div class=${`live-split is-${mode}${second ? ' has-second' : ''}`} ref=${box}>
      <div class="live-first">${first}</div>
      ${second ? html`<div class="live-bar-between" role="separator" tabindex="0" aria-label=${label ?? t('Size of the two parts')} aria-orientation=${beside ? 'vertical' : 'horizontal'}
        aria-valuemin="20" aria-valuemax="80" aria-valuenow=${Math.round(share)} onPointerDown=${drag} onKeyDown=${onKey}></div>
        <div class="live-second">${second}</div>` : null}
    </div>`;
}

// Says how many there are, not what they are, and not more often than one can listen to.
export function Counts({text}) {
  const [said, say] = useState('');
  const now = useRef(text);
  now.current = text;
  useEffect(() => {
    const timer = setInterval(() => say(now.current), 5000);
    return () => clearInterval(timer);
  }, []);
  return html`<div class="live-sr" role="status" aria-live="polite">${said}</div>`;
}
