/** A setting of the file: label, input by its schema, help, where its value comes from. */
import {html} from '../core/base.js';
import {draft} from '../core/draft.js';
import {t} from '../core/i18n.js';
import {parseKey} from '../core/notation.js';
import {appliesOf} from '../core/schema.js';
import {can} from '../core/session.js';
import {Field} from './field.js';

/** `static-routes.route."x".public_port` is called "Public port" where no label is given. */
export function labelOf(key) {
  const name = String(parseKey(key).at(-1)).replaceAll('_', ' ').replaceAll('-', ' ');
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function Applies({schema}) {
  const found = appliesOf(schema);
  if (found === 'live') return null;
  const [text, title] = found === 'rebind'
    ? [t('rebind'), t('A change closes the interface and opens it again.')]
    : [t('restart'), t('A change takes effect when the process is started anew.')];
  return html`<span class=${`applies applies-${found}`} title=${title}>${text}</span>`;
}

function Origin({k, schema, disabled}) {
  const {from, line} = draft.origin(k);
  if (from === 'draft') {
    return html`<span class="origin-draft">${t('changed')}</span>
      <button type="button" class="link-button" onClick=${() => draft.revert(k)} disabled=${draft.isNew(k)}>${t('take back')}</button>`;
  }
  if (from === 'file') {
    return html`<a class="origin" href=${`#/config?line=${line}`}>${t('line {n}', {n: line})}</a>
      ${!disabled && (schema?.optional || schema?.default !== undefined) && html`<button type="button" class="link-button"
        title=${t('Take it out of the file: the default counts then.')} onClick=${() => draft.unset(k)}>${t('use default')}</button>`}`;
  }
  return html`<span class="origin">${t('default')}</span>`;
}

/**
 * `<Setting k="wan.public_port" label help options widget disabled />` edits the draft. `help` is
 * else that of the server; `after` stands behind the input.
 */
export function Setting({k, label, help, options, widget, disabled = false, why, ...rest}) {
  const schema = draft.schema(k);
  const barred = !can('admin') ? t('Only an administrator changes settings.')
    : draft.locked.value ? t('The text of the file is being edited on the page Config.')
      : draft.isRemoved(k) ? t('It is taken out by the draft.') : '';
  const off = disabled || barred !== '' || !draft.schemaReady.value;
  return html`<${Field} ...${rest} label=${label ?? labelOf(k)} help=${help ?? t(draft.help(k))} schema=${schema} widget=${widget}
    options=${options} value=${draft.value(k)} onChange=${(value) => draft.set(k, value)} disabled=${off}
    problems=${draft.problems(k)} badge=${html`<${Applies} schema=${schema} />`}
    meta=${html`<${Origin} k=${k} schema=${schema} disabled=${off} />${barred && html` <span>${barred}</span>`}
      ${disabled && why && html` <span>${why}</span>`}`} />`;
}
