// A button that opens a small panel below itself: menus, the export form, the columns.

import {Icon, hooks, html, useId} from 'sipx';

const {useLayoutEffect, useRef, useState} = hooks;

export function Menu({label, icon, text, kind = 'plain', title, align = 'end', disabled, children, wide, onOpen, openRef}) {
  const [open, setOpen] = useState(false);
  const box = useRef(null);
  const id = useId('menu');
  const close = focus => {
    setOpen(false);
    if (focus) box.current?.querySelector('button')?.focus();
  };
  if (openRef) openRef.current = () => setOpen(true);

  // Before it is painted: whoever sees the menu can leave it.
  useLayoutEffect(() => {
    if (!open) return undefined;
    onOpen?.();
    const away = event => { if (!box.current?.contains(event.target)) close(false); };
    const escape = event => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      close(true);
    };
    document.addEventListener('pointerdown', away);
    document.addEventListener('keydown', escape, true);
    box.current?.querySelector('.live-menu button, .live-menu input, .live-menu select')?.focus();
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('keydown', escape, true);
    };
  }, [open]);

  return html`
    <div class="live-menu-box" ref=${box}>
      <button type="button" class=${`live-btn b-${kind}`} aria-expanded=${open ? 'true' : 'false'} aria-controls=${id}
        aria-label=${label ?? null} title=${title ?? label ?? null} disabled=${disabled} onClick=${() => setOpen(!open)}>
        ${icon ? html`<${Icon} name=${icon} />` : null}${text ? html`<span>${text}</span>` : null}<span class="live-caret" aria-hidden="true">▾</span>
      </button>
      ${open ? html`<div id=${id} class=${`live-menu m-${align}${wide ? ' is-wide' : ''}`} role="group" aria-label=${label ?? text}>
        ${typeof children === 'function' ? children(() => close(true)) : children}</div>` : null}
    </div>`;
}

export const Item = ({onClick, children, disabled, checked, hint}) => html`
  <button type="button" class="live-item" disabled=${disabled} onClick=${onClick}
    aria-pressed=${checked === undefined ? null : checked ? 'true' : 'false'}>
    <span class="live-item-mark" aria-hidden="true">${checked ? '✓' : ''}</span>
    <span class="live-item-text">${children}</span>${hint ? html`<kbd>${hint}</kbd>` : null}
  </button>`;
