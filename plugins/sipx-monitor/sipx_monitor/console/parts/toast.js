/** Short notes that go by themselves, some with a way back. */
import {html, hooks, signal} from '../core/base.js';
import {t} from '../core/i18n.js';
import {onPage} from '../core/router.js';
import {Icon} from './icon.js';

const {useEffect, useRef, useState} = hooks;
const toasts = signal([]);
const LONG = 8000;
/** Milliseconds: what was noted just before another page was turned to belongs to that one. */
const FRESH = 1500;
let last = 0;

/** `toast(text, {kind: 'ok'|'bad'|'info', undo: fn})` */
export function toast(text, {kind = 'info', undo} = {}) {
  toasts.value = [...toasts.value.slice(-3), {id: ++last, at: Date.now(), text, kind, undo}];
}

/** What went wrong, as a note: the server's own sentence. */
export function failed(error) {
  if (!(error instanceof Error) || error.name !== 'SipxError') console.error(error);
  toast(error.message, {kind: 'bad'});
}

function leave(id) {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

/** Where notes are shown; stands once in the shell. A new one comes in front of open dialogs. */
export function Toasts() {
  const place = useRef(null);
  const last = toasts.value.at(-1)?.id;
  useEffect(() => onPage(() => {
    toasts.value = toasts.peek().filter(({at, kind}) => kind === 'bad' || Date.now() - at < FRESH);
  }), []);
  useEffect(() => {
    if (place.current.matches(':popover-open')) place.current.hidePopover();
    if (last) place.current.showPopover();
  }, [last]);
  return html`<div class="toasts" role="status" aria-live="polite" popover="manual" ref=${place}>
    ${toasts.value.map((one) => html`<${Toast} key=${one.id} ...${one} />`)}</div>`;
}

function Toast({id, text, kind, undo}) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held) return undefined;
    const clock = setTimeout(() => leave(id), kind === 'bad' ? 2 * LONG : LONG);
    return () => clearTimeout(clock);
  }, [held]);
  return html`<div class=${`toast toast-${kind}`} onMouseEnter=${() => setHeld(true)} onMouseLeave=${() => setHeld(false)}
      onFocusIn=${() => setHeld(true)} onFocusOut=${() => setHeld(false)}>
    <${Icon} name=${{ok: 'ok', bad: 'bad'}[kind] ?? 'info'} /><span>${text}</span>
    ${undo && html`<button type="button" class="link-button" onClick=${() => { leave(id); undo(); }}>${t('Undo')}</button>`}
    <button type="button" class="icon-button" aria-label=${t('Close')} onClick=${() => leave(id)}><${Icon} name="close" /></button>
  </div>`;
}
