/** Tabs: arrows go from one to the next. `items=[{id, title, count, icon}]`. */
import {classes, html, hooks} from '../core/base.js';
import {fmt} from '../core/i18n.js';
import {Icon} from './icon.js';

const {useRef} = hooks;

export function Tabs({items, value, onChange, label}) {
  const list = useRef(null);
  function key(event) {
    const at = items.findIndex(({id}) => id === value);
    const next = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: items.length - 1}[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const to = (next + items.length) % items.length;
    onChange(items[to].id);
    list.current.children[to].focus();
  }
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${key}>
    ${items.map(({id, title, count, icon}) => html`<button type="button" role="tab" key=${id}
        aria-selected=${id === value} tabindex=${id === value ? 0 : -1}
        class=${classes('tab', id === value && 'tab-current')} onClick=${() => onChange(id)}>
      ${icon && html`<${Icon} name=${icon} />`}${title}
      ${count !== undefined && html` <span class="count">${fmt.number(count)}</span>`}</button>`)}
  </div>`;
}
