/** The settings of a table as its JSON schema says: what any plugin gets without a page of its own. */
import {html, hooks} from '../core/base.js';
import {draft} from '../core/draft.js';
import {t} from '../core/i18n.js';
import {keyOf, parseKey} from '../core/notation.js';
import {can} from '../core/session.js';
import {Button} from './button.js';
import {confirm, Dialog} from './dialog.js';
import {Field} from './field.js';
import {labelOf, Setting} from './setting.js';

const {useState} = hooks;

/** "one": a table with keys of its own, "named": tables by name, "": a value. */
function kindOf(schema) {
  if (!schema) return '';
  if (schema.properties) return 'one';
  const more = schema.additionalProperties;
  return schema.type === 'object' && more && typeof more === 'object' && (more.$ref || more.properties) ? 'named' : '';
}

/** `<SchemaForm k="stun" except=['enabled'] />`: all settings of a table, and the tables below it. */
export function SchemaForm({k, except = [], level = 3}) {
  const schema = draft.schema(k);
  const names = Object.keys(schema?.properties ?? {}).filter((name) => !except.includes(name));
  const keys = names.map((name) => [keyOf(...parseKey(k), name), name]);
  const values = keys.filter(([key]) => kindOf(draft.schema(key)) === '');
  const tables = keys.filter(([key]) => kindOf(draft.schema(key)) === 'one');
  const named = keys.filter(([key]) => kindOf(draft.schema(key)) === 'named');
  const heading = `h${Math.min(level, 6)}`;
  return html`<div class="fields">
    ${values.map(([key]) => html`<${Setting} key=${key} k=${key} />`)}
    ${!keys.length && html`<p class="muted">${t('There is nothing to set.')}</p>`}
    ${tables.map(([key]) => html`<section class="subtable" key=${key}>
      <${heading}>${labelOf(key)}<//><${SchemaForm} k=${key} level=${level + 1} /></section>`)}
    ${named.map(([key]) => html`<${Named} key=${key} k=${key} level=${level} />`)}
  </div>`;
}

function Named({k, level}) {
  const [adding, setAdding] = useState(false);
  const heading = `h${Math.min(level, 6)}`;
  const names = draft.tables(k);
  const barred = !can('admin') || draft.locked.value;
  const why = can('admin') ? undefined : t('Only an administrator changes settings.');
  async function remove(key, name) {
    if (!await confirm({title: t('Remove {name}?', {name}), text: t('It is taken out of the file when the draft is saved.'),
      action: t('Remove'), danger: true})) return;
    draft.removeTable(key);
  }
  return html`<section class="subtable">
    <div class="subtable-head"><${heading}>${labelOf(k)}<//>
      <${Button} small icon="add" disabled=${barred} title=${why} onClick=${() => setAdding(true)}>${t('Add')}<//></div>
    ${!names.length && html`<p class="muted">${t('None yet.')}</p>`}
    ${names.map((name) => {
    const key = keyOf(...parseKey(k), name);
    return html`<details class="named" key=${key} open=${draft.isNew(key)}><summary><span>${name}</span></summary>
      <${SchemaForm} k=${key} level=${level + 1} />
      <div class="row"><${Button} small icon="trash" disabled=${barred} title=${why} onClick=${() => remove(key, name)}>${t('Remove')}<//></div>
    </details>`;
  })}
    ${adding && html`<${AddDialog} k=${k} names=${names} onClose=${() => setAdding(false)} />`}
  </section>`;
}

function AddDialog({k, names, onClose}) {
  const [name, setName] = useState('');
  const taken = names.includes(name.trim());
  function add() {
    if (!name.trim() || taken) return;
    draft.addTable(keyOf(...parseKey(k), name.trim()), {});
    onClose();
  }
  return html`<${Dialog} title=${t('Add to {table}', {table: labelOf(k)})} onClose=${onClose} onSubmit=${add}
      actions=${html`<${Button} onClick=${onClose}>${t('Cancel')}<//>
        <${Button} kind="primary" type="submit" disabled=${!name.trim() || taken}>${t('Add')}<//>`}>
    <${Field} label=${t('Name')} value=${name} onChange=${(value) => setName(value ?? '')} autofocus required
      problems=${taken ? [t('There is one of this name.')] : []} />
  <//>`;
}
