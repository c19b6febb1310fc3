// The filter box. The language is read by the server alone: what is wrong, what may follow and
// which fields there are come from monitor.filter.

import {Dialog, Icon, call, copy, filterHelp, hooks, html, t, toast, useId} from 'sipx';
import {Item, Menu} from './menu.js';

const {useEffect, useRef, useState} = hooks;

const SAVED = 'sipx.live.filters';
const WAIT = 120;

export const EXAMPLES = [
  'method:INVITE code:4xx domain:*.partner.example',
  '!method:OPTIONS rtt>500ms',
  'header.P-Asserted-Identity:/alice/',
  '(from:alice or to:alice) not retrans:yes',
];

function savedFilters() {
  try {
    const found = JSON.parse(localStorage.getItem(SAVED) ?? '[]');
    return Array.isArray(found) ? found.filter(text => typeof text === 'string') : [];
  } catch {
    return [];
  }
}

const textOf = suggestion => (typeof suggestion === 'string' ? suggestion : suggestion.text ?? suggestion.value ?? '');
const helpOf = suggestion => (typeof suggestion === 'string' ? '' : suggestion.help ?? '');

// What a suggestion stands for: the word in which the caret is.
function replaced(text, caret, suggestion) {
  if (typeof suggestion === 'object' && Number.isInteger(suggestion.start)) {
    const end = suggestion.end ?? caret;
    return {text: text.slice(0, suggestion.start) + textOf(suggestion) + text.slice(end), caret: suggestion.start + textOf(suggestion).length};
  }
  const before = text.slice(0, caret);
  const word = /[^\s()!]*$/.exec(before)[0];
  const value = textOf(suggestion);
  const colon = /^(.*?[:=<>]+)/.exec(word);
  const keep = colon && !value.startsWith(colon[1]) && !/[:=<>]/.test(value) ? colon[1] : '';
  const start = before.slice(0, before.length - word.length) + keep + value;
  return {text: start + text.slice(caret), caret: start.length};
}

export function FilterBox({value, onChange, onLeave, inputRef, label, placeholder}) {
  const [text, setText] = useState(value);
  const [answer, setAnswer] = useState(null);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const [saved, setSaved] = useState(savedFilters);
  const [help, setHelp] = useState(false);
  const own = useRef(null);
  const input = inputRef ?? own;
  const turn = useRef(0);
  const timer = useRef(0);
  const id = useId('filter');

  // A filter that is switched off stays in the box, to be switched on again.
  const parked = useRef('');
  useEffect(() => {
    setText(value || parked.current);
    setAnswer(null);
  }, [value]);
  const toggle = () => {
    const wanted = value ? '' : parked.current;
    parked.current = value;
    onChange(wanted);
  };

  const look = async (filter, caret) => {
    const mine = ++turn.current;
    try {
      const found = await call('monitor.filter', {filter, caret});
      if (mine === turn.current) setAnswer(found);
    } catch (error) {
      if (mine === turn.current) setAnswer({valid: false, error: error.message, position: null, suggestions: [], fields: []});
    }
  };
  const ask = (filter, caret) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => look(filter, caret), WAIT);
  };
  const showHelp = async () => {
    clearTimeout(timer.current);
    // With its fields at once: what comes later would move what is about to be clicked.
    await look(text, text.length);
    setHelp(true);
  };
  useEffect(() => () => clearTimeout(timer.current), []);

  const apply = async filter => {
    clearTimeout(timer.current);
    turn.current += 1;
    setOpen(false);
    if (filter.trim()) {
      const found = await call('monitor.filter', {filter, caret: null}).catch(error => ({valid: false, error: error.message}));
      setAnswer(found);
      if (!found.valid) {
        input.current?.focus();
        return;
      }
    } else setAnswer(null);
    onChange(filter.trim());
  };
  const suggestions = open ? (answer?.suggestions ?? []).slice(0, 12) : [];
  const take = suggestion => {
    const result = replaced(text, input.current.selectionStart ?? text.length, suggestion);
    setText(result.text);
    setAt(-1);
    ask(result.text, result.caret);
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(result.caret, result.caret);
    });
  };
  const typed = event => {
    setText(event.target.value);
    setOpen(true);
    setAt(-1);
    ask(event.target.value, event.target.selectionStart);
  };
  const onKey = event => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      if (!open) { setOpen(true); ask(text, input.current.selectionStart); }
      if (!suggestions.length) return;
      event.preventDefault();
      const next = at + (event.key === 'ArrowDown' ? 1 : -1);
      setAt(next >= suggestions.length ? -1 : next < -1 ? suggestions.length - 1 : next);
    } else if (event.key === 'Tab' && at >= 0) {
      event.preventDefault();
      take(suggestions[at]);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      if (at >= 0 && suggestions[at]) take(suggestions[at]);
      else {
        // Whoever has filtered wants to read: the list has the keys again, at once.
        input.current.blur();
        onLeave?.();
        apply(text);
      }
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      if (open && suggestions.length) setOpen(false);
      else if (text !== value) { setText(value); setAnswer(null); } else input.current.blur();
    }
  };
  const save = list => {
    setSaved(list);
    localStorage.setItem(SAVED, JSON.stringify(list));
  };
  const bad = answer && !answer.valid && text.trim();
  const position = Math.min(Math.max(answer?.position ?? 0, 0), text.length);

  return html`
    <div class="live-filter" role="search">
      <div class=${`live-filter-field${bad ? ' is-bad' : ''}${value ? ' is-on' : ''}`}>
        <button type="button" class="live-filter-toggle" aria-pressed=${value ? 'true' : 'false'} disabled=${!value && !parked.current} onClick=${toggle}
          aria-label=${t('Filter on or off')} title=${t('Filter on or off')}><${Icon} name="filter" /></button>
        <input type="text" spellcheck="false" autocomplete="off" autocapitalize="off" ref=${input} value=${text}
          role="combobox" aria-expanded=${suggestions.length ? 'true' : 'false'} aria-controls=${`${id}-list`} aria-autocomplete="list"
          aria-activedescendant=${at >= 0 ? `${id}-${at}` : null} aria-label=${label ?? t('Filter')}
          aria-invalid=${bad ? 'true' : 'false'} aria-describedby=${bad ? `${id}-error` : null}
          placeholder=${placeholder ?? t('Filter, e.g. method:INVITE code:4xx')}
          onInput=${typed} onKeyDown=${onKey} onFocus=${() => { setOpen(true); ask(text, text.length); }}
          onBlur=${() => setTimeout(() => setOpen(false), 150)} />
        ${text !== value ? html`<button type="button" class="live-btn b-primary is-small" onClick=${() => apply(text)}>${t('Apply')} <kbd>⏎</kbd></button>` : null}
        ${text ? html`<button type="button" class="live-btn b-ghost is-small" aria-label=${t('Clear the filter')} title=${t('Clear the filter')}
          onClick=${() => { parked.current = ''; setText(''); apply(''); }}>✕</button>` : null}
        <${Menu} label=${t('Saved filters')} kind="ghost" icon="bookmark">${close => html`
          ${saved.length === 0 ? html`<p class="live-menu-note">${t('No saved filters yet.')}</p>` : null}
          ${saved.map(one => html`<div class="live-saved" key=${one}>
            <${Item} checked=${one === value} onClick=${() => { close(); setText(one); apply(one); }}><code>${one}</code><//>
            <button type="button" class="live-btn b-ghost is-small" aria-label=${t('Remove {filter}', {filter: one})} onClick=${() => save(saved.filter(other => other !== one))}>✕</button>
          </div>`)}
          <hr />
          <${Item} disabled=${!value || saved.includes(value)} onClick=${() => { save([...saved, value]); toast(t('Filter saved in this browser')); close(); }}>${t('Save this filter')}<//>
          <${Item} onClick=${() => { close(); copyLink(); }}>${t('Copy the address of this view')}<//>
        `}<//>
        <button type="button" class="live-btn b-ghost is-small" aria-label=${t('Help for the filter')} title=${t('Help for the filter')}
          onClick=${showHelp}>?</button>
      </div>
      <div class="live-below">${suggestions.length ? html`<ul class="live-suggest" role="listbox" id=${`${id}-list`} aria-label=${t('Suggestions')}>
        ${suggestions.map((one, index) => html`<li role="option" id=${`${id}-${index}`} key=${textOf(one)} aria-selected=${index === at ? 'true' : 'false'}
          onMouseDown=${event => { event.preventDefault(); take(one); }}><code>${textOf(one)}</code><span>${helpOf(one)}</span></li>`)}
      </ul>` : html`<span id=${`${id}-list`} hidden></span>`}
      ${bad ? html`<div class="live-filter-error" id=${`${id}-error`} role="alert">
        ${answer.position === null || answer.position === undefined ? null : html`<pre aria-hidden="true">${`${text}\n${' '.repeat(position)}^`}</pre>`}
        <p><span aria-hidden="true">✕</span> ${answer.error}</p></div>` : null}</div>
      ${help ? html`<${FilterHelp} fields=${[...(answer?.fields ?? []), ...filterHelp.value.map(one => ({name: t(one.title), help: t(one.text), example: one.example}))]} onClose=${() => setHelp(false)}
        onUse=${example => { setHelp(false); setText(example); apply(example); }} />` : null}
    </div>`;
}

async function copyLink() {
  await copy(location.href.replace(/token=[^&]*/, ''));
  toast(t('Address copied'));
}

function FilterHelp({fields, onClose, onUse}) {
  const use = example => html`<button type="button" class="live-link" onClick=${() => onUse(example)}><code>${example}</code></button>`;
  return html`
    <${Dialog} title=${t('The filter language')} onClose=${onClose} wide>
      <p>${t('A word alone is looked for anywhere. Fields are compared by their names, and several conditions must all hold.')}</p>
      <table class="live-help">
        <tbody>
          <tr><th scope="row"><code>field:value</code></th><td>${t('contains; with * as wildcard, /…/ as regular expression, 4xx as class, 10.0.0.0/8 as network')}</td></tr>
          <tr><th scope="row"><code>${'field>=n'}</code></th><td>${t('compares numbers, sizes (2kB) and durations (500ms)')}</td></tr>
          <tr><th scope="row"><code>! - not</code></th><td>${t('does not hold')}</td></tr>
          <tr><th scope="row"><code>and or ( )</code></th><td>${t('joins conditions; “and” may be left out')}</td></tr>
        </tbody>
      </table>
      <h3>${t('Examples')}</h3>
      <ul class="live-examples">${EXAMPLES.map(example => html`<li>${use(example)}</li>`)}</ul>
      <h3>${t('Fields')}</h3>
      <table class="live-help">
        <thead><tr><th scope="col">${t('Field')}</th><th scope="col">${t('Meaning')}</th><th scope="col">${t('Example')}</th></tr></thead>
        <tbody>${fields.map(field => html`<tr key=${field.name}>
          <th scope="row"><code>${field.name}</code></th>
          <td>${field.help}${Array.isArray(field.values) && field.values.length ? html` <span class="live-muted">(${field.values.join(', ')})</span>` : null}</td>
          <td>${field.example ? use(field.example) : null}</td></tr>`)}</tbody>
      </table>
    <//>`;
}
