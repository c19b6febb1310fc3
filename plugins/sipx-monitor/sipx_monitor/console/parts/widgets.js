/** What a value is typed into, by the hint of its schema. */
import {classes, html, hooks, useId} from '../core/base.js';
import {draft, HIDDEN} from '../core/draft.js';
import {useCall} from '../core/hooks.js';
import {t} from '../core/i18n.js';
import {choicesOf, durationText, sizeText, textOf, typesOf, valueOf} from '../core/schema.js';
import {Icon} from './icon.js';
import {Select, Switch} from './switch.js';

const {useEffect, useRef, useState} = hooks;

/** Text that is kept as it was typed while it means the same value. */
function useTyped(value, meaning, write) {
  const [typed, setTyped] = useState(null);
  const shown = typed !== null && textOf(meaning(typed)) === textOf(value) ? typed : write(value);
  return [shown, setTyped];
}

function Text({value, onChange, schema, placeholder, mono, suggestions = [], write = textOf, class: own, ...rest}) {
  const meaning = (text) => (schema ? valueOf(text, schema) : text);
  const [shown, setTyped] = useTyped(value, meaning, write);
  const list = useId('list');
  return html`<input ...${rest} type="text" class=${classes('input', mono && 'mono', own)} value=${shown} placeholder=${placeholder}
      list=${suggestions.length ? list : undefined} autocomplete=${rest.autocomplete ?? 'off'} spellcheck=${false}
      onInput=${(event) => { setTyped(event.currentTarget.value); onChange(meaning(event.currentTarget.value)); }} />
    ${suggestions.length > 0 && html`<datalist id=${list}>
      ${suggestions.map(([one, text]) => html`<option key=${one} value=${one}>${text}</option>`)}</datalist>`}`;
}

function Digits(props) {
  return html`<${Text} ...${props} inputmode="numeric" class="input-number" />`;
}

function OnOff({value, onChange, disabled, id, describedby, label, ...rest}) {
  return html`<${Switch} checked=${value} onChange=${onChange} disabled=${disabled} id=${id} label=${label} hideLabel
    aria-describedby=${rest['aria-describedby']} />`;
}

function Choice({value, onChange, schema, options, optional, ...rest}) {
  const list = options ?? choicesOf(schema).map((one) => [one, String(one)]);
  return html`<${Select} ...${rest} value=${value} onChange=${onChange} options=${list} />`;
}

/** Several texts, one in a line. With `alone` a single one is written without brackets. */
function List({value, onChange, placeholder, alone = false, ...rest}) {
  const read = (text) => {
    const items = text.split('\n').map((line) => line.trim()).filter(Boolean);
    return alone && items.length === 1 ? items[0] : items;
  };
  const own = Array.isArray(value) ? value : value === undefined || value === null || value === '' ? [] : [value];
  const [typed, setTyped] = useState(null);
  const shown = typed !== null && textOf(read(typed)) === textOf(own) ? typed : own.map(textOf).join('\n');
  return html`<textarea ...${rest} class="input mono" rows=${Math.min(10, Math.max(2, shown.split('\n').length))}
    placeholder=${placeholder ?? t('one in a line')} value=${shown} spellcheck=${false}
    onInput=${(event) => { setTyped(event.currentTarget.value); onChange(read(event.currentTarget.value)); }}></textarea>`;
}

/** As long as somebody types it stays a list, however many there are. */
function Lines({schema, ...rest}) {
  return html`<${List} ...${rest} alone=${typesOf(schema).has('string')} />`;
}

function Size(props) {
  return html`<${Text} ...${props} mono write=${sizeText} />`;
}

function Duration(props) {
  return html`<${Text} ...${props} mono write=${durationText} />`;
}

/** A secret: typed here, or where it is read from. What is there is never shown. */
function Secret({value, onChange, plain, ...rest}) {
  const kind = value && typeof value === 'object' ? Object.keys(value)[0] : 'text';
  const [seen, setSeen] = useState(false);
  const input = useRef(null);
  const hidden = value === HIDDEN;
  const inner = kind === 'text' ? (hidden ? '' : value ?? '') : value[kind];
  const put = (text) => onChange(text === '' ? undefined : kind === 'text' ? text : {[kind]: text});
  return html`<span class="secret">
    ${!plain && html`<${Select} label=${t('Where it comes from')} disabled=${rest.disabled} value=${kind}
      onChange=${(next) => { onChange(next === 'text' ? '' : {[next]: ''}); input.current?.focus(); }}
      options=${[['text', t('Typed here')], ['file', t('From a file')], ['env', t('From the environment')]]} />`}
    <input ...${rest} ref=${input} class="input mono" type=${kind !== 'text' || seen ? 'text' : 'password'} value=${inner} spellcheck=${false}
      autocomplete=${rest.autocomplete ?? 'new-password'}
      placeholder=${{text: hidden ? '••••••••' : '', file: t('lan.password'), env: t('NAME_OF_VARIABLE')}[kind]}
      onInput=${(event) => put(event.currentTarget.value)} />
    ${kind === 'text' && html`<button type="button" class="icon-button" aria-pressed=${seen} aria-label=${t('Show what is typed')}
      disabled=${rest.disabled} onClick=${() => setSeen(!seen)}><${Icon} name=${seen ? 'eyeoff' : 'eye'} /></button>`}
  </span>`;
}

/** One of the certificates of the file, or several where a list may stand. */
function Certificate({value, onChange, schema, none, ...rest}) {
  const names = draft.tables('certificate');
  const several = Array.isArray(value) && value.length > 1;
  if (several) return html`<${List} ...${rest} value=${value} onChange=${onChange} />`;
  const one = Array.isArray(value) ? value[0] : value;
  return html`<${Select} ...${rest} value=${one ?? ''} onChange=${(next) => onChange(next === '' ? undefined : next)}
    options=${[['', none ?? t('none of its own')], ...named(names, one)]} />`;
}

function Interface({value, onChange, none, ...rest}) {
  return html`<${Select} ...${rest} value=${value ?? ''} onChange=${(next) => onChange(next === '' ? undefined : next)}
    options=${[['', none ?? '–'], ...named(draft.tables('interface'), value)]} />`;
}

/** The names to choose from; one that is not among them is kept in sight. */
function named(names, value) {
  const list = value && !names.includes(value) ? [...names, value] : names;
  return list.map((name) => [name, name]);
}

/** An address of this machine, or any other. */
function Address(props) {
  const {data} = useCall('interfaces.available');
  const suggestions = (data?.addresses ?? []).map(({address, device, up}) => (
    [address, up === false ? `${device} (${t('not up')})` : device]));
  return html`<${Text} ...${props} mono suggestions=${[['*', t('all addresses')], ...suggestions]} />`;
}

/** Tables in a line, and whatever no other widget is for: as JSON. */
function Json({value, onChange, ...rest}) {
  const [typed, setTyped] = useState(null);
  const [wrong, setWrong] = useState('');
  const shown = typed ?? (value === undefined ? '' : JSON.stringify(value));
  useEffect(() => setTyped(null), [JSON.stringify(value)]);
  return html`<input ...${rest} class="input mono" type="text" value=${shown} spellcheck=${false}
      aria-invalid=${wrong ? 'true' : undefined} title=${wrong}
      onInput=${(event) => {
    const text = event.currentTarget.value;
    setTyped(text);
    try {
      onChange(text.trim() === '' ? undefined : JSON.parse(text));
      setWrong('');
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      setWrong(error.message);
    }
  }} />`;
}

const WIDGETS = {
  address: Address, certificate: Certificate, choice: Choice, duration: Duration, interface: Interface, list: Lines, number: Digits,
  secret: Secret, size: Size, switch: OnOff, table: Json, json: Json,
};
const MONO = new Set(['domain', 'file']);

/** The input of a widget by its name, and of a schema where there is one. */
export function Input({widget = 'text', value, onChange, schema, options, ...rest}) {
  if (options) return html`<${Choice} ...${rest} value=${value} onChange=${onChange} options=${options} schema=${schema} />`;
  const list = typesOf(schema).has('array');
  const found = list && !['certificate', 'list', 'secret'].includes(widget) && (Array.isArray(value) || !typesOf(schema).has('string'))
    ? List : WIDGETS[widget] ?? Text;
  return html`<${found} ...${rest} value=${value} onChange=${onChange} schema=${schema}
    ...${found === Text && MONO.has(widget) ? {mono: true} : {}} />`;
}
