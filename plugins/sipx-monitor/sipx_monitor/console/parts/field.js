/** Fields with their labels, and forms of them. */
import {classes, html, useId} from '../core/base.js';
import {widgetOf} from '../core/schema.js';
import {Input} from './widgets.js';

/**
 * `<Field label help value onChange widget|schema|options problems disabled placeholder />`.
 * `after` stands behind the input, `badge` behind the label, `meta` below everything.
 */
export function Field({label, help, value, onChange, widget, schema, options, problems = [], disabled = false,
  badge, meta, after, wide = false, class: own, required = false, ...rest}) {
  const id = useId('field');
  const kind = widget ?? (options ? 'choice' : widgetOf(schema));
  const described = [help && `${id}-help`, problems.length && `${id}-problem`].filter(Boolean).join(' ');
  return html`<div class=${classes('field', `field-${kind}`, wide && 'field-wide', problems.length > 0 && 'field-bad', own)}>
    <div class="field-label"><label for=${id}>${label}${required && html` <span class="muted" aria-hidden="true">*</span>`}</label>${badge}</div>
    <div class="field-input">
      <${Input} ...${rest} id=${id} widget=${kind} schema=${schema} options=${options} value=${value} onChange=${onChange}
        disabled=${disabled} label=${undefined} aria-describedby=${described || undefined} aria-required=${required || undefined}
        aria-invalid=${problems.length ? 'true' : undefined} />
      ${after}
    </div>
    ${problems.length > 0 && html`<div class="problem" id=${`${id}-problem`} role="alert">
      ${problems.map((text) => html`<p key=${text}>${text}</p>`)}</div>`}
    ${help && html`<p class="field-help" id=${`${id}-help`}>${help}</p>`}
    ${meta && html`<p class="field-meta">${meta}</p>`}
  </div>`;
}

/** The problems of a field: `problems` is {name: [text]}, or a list of {key, text}. */
function about(problems, name) {
  if (Array.isArray(problems)) {
    return problems.filter(({key = ''}) => key === name || key.endsWith(`.${name}`)).map(({short, text}) => short ?? text);
  }
  return [problems?.[name] ?? []].flat();
}

/**
 * Several fields of one object: `fields=[{name, label, ...what Field takes}]`, `value` the object,
 * `onChange(object)`. A field with `when(object)` is only there where that is true.
 */
export function Form({fields, value, onChange, problems, disabled = false}) {
  return html`<div class="form">
    ${fields.filter(({when}) => !when || when(value)).map(({name, when, ...field}) => html`<${Field} key=${name}
      ...${field} value=${value[name] ?? field.schema?.default} disabled=${disabled || field.disabled} problems=${about(problems, name)}
      onChange=${(next) => {
    const {[name]: old, ...others} = value;
    onChange(next === undefined ? others : {...others, [name]: next});
  }} />`)}
  </div>`;
}
