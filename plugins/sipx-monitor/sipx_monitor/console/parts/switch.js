/** Switches and selections. */
import {classes, html} from '../core/base.js';

/** On or off: `<Switch checked onChange label />`; `hideLabel` where the column says it already. */
export function Switch({checked, onChange, label, disabled = false, hideLabel = false, id, title, ...rest}) {
  return html`<label class=${classes('switch', disabled && 'switch-disabled')} title=${title}
      onClick=${(event) => event.stopPropagation()}>
    <input ...${rest} type="checkbox" role="switch" id=${id} checked=${Boolean(checked)} disabled=${disabled}
      onChange=${(event) => {
    const next = event.currentTarget.checked;
    event.currentTarget.checked = Boolean(checked);
    onChange(next);
  }} />
    <span class="switch-track" aria-hidden="true"></span>
    ${label && html`<span class=${hideLabel ? 'unseen' : undefined}>${label}</span>`}
  </label>`;
}

/** One of several: `options` are values, or pairs of value and text. */
export function Select({value, onChange, options, disabled = false, label, id, ...rest}) {
  const pairs = options.map((option) => (Array.isArray(option) ? option : [option, String(option)]));
  const at = pairs.findIndex(([one]) => one === value || (one === '' && (value === null || value === undefined)));
  return html`<span class="select"><select ...${rest} id=${id} aria-label=${label} disabled=${disabled} value=${String(at)}
      onChange=${(event) => onChange(pairs[Number(event.currentTarget.value)][0])}>
    ${at < 0 && html`<option value="-1" selected disabled>${value === undefined ? '' : String(value)}</option>`}
    ${pairs.map(([, text], index) => html`<option key=${index} value=${String(index)} selected=${index === at}>${text}</option>`)}
  </select></span>`;
}
