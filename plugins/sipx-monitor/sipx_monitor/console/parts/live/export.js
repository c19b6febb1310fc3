// Saving what is shown, and opening what was saved.

import {Button, call, hooks, html, t, toast} from 'sipx';

const {useState} = hooks;

export const LARGEST = 32 * 1024 * 1024;

function download({filename, content_type: type, data_base64: data}) {
  const binary = atob(data);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  const url = URL.createObjectURL(new Blob([bytes], {type}));
  const link = document.createElement('a');
  link.href = url;
  link.download = filename;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

const FORMATS = () => [
  ['text', t('Text'), t('to read, and to put into a ticket')],
  ['jsonl', 'JSON Lines', t('for scripts; keeps marks, notes and legs')],
  ['csv', 'CSV', t('the list, for a spreadsheet')],
  ['svg', 'SVG', t('the ladder as a picture')],
  ['pcapng', 'pcapng', t('for Wireshark and sngrep')],
];

export function ExportForm({filter, capture, selected, dialog, dialogTitle, close, onlyDialog = false}) {
  const [format, setFormat] = useState(onlyDialog ? 'svg' : 'text');
  const [scope, setScope] = useState(onlyDialog || (dialog && !selected.length) ? 'dialog' : selected.length ? 'selected' : 'filtered');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const what = format === 'svg' && scope === 'filtered' ? (dialog ? 'dialog' : 'selected') : scope;

  const choose = wanted => {
    setFormat(wanted);
    if (wanted === 'svg' && dialog) setScope('dialog');
  };

  const save = async () => {
    setBusy(true);
    setProblem('');
    try {
      const params = {format, capture};
      if (what === 'dialog') params.dialog = dialog;
      else if (what === 'selected') params.seqs = selected;
      else params.filter = filter;
      const made = await call('monitor.export', params);
      download(made);
      toast(t('Saved as {name}', {name: made.filename}));
      close();
    } catch (error) {
      setProblem(error.message);
    } finally {
      setBusy(false);
    }
  };
  const radio = (group, value, chosen, set, text, hint, disabled) => html`
    <label class=${`live-radio${disabled ? ' is-off' : ''}`}><input type="radio" name=${group} checked=${chosen === value} disabled=${disabled} onChange=${() => set(value)} />
      <span>${text}${hint ? html`<small>${hint}</small>` : null}</span></label>`;
  return html`
    <form class="live-export" onSubmit=${event => { event.preventDefault(); save(); }}>
      <fieldset><legend>${t('Format')}</legend>
        ${FORMATS().map(([id, text, hint]) => radio('live-format', id, format, choose, text, hint, false))}</fieldset>
      <fieldset><legend>${t('Which messages')}</legend>
        ${onlyDialog ? null : radio('live-scope', 'filtered', what, setScope, filter ? t('All that match the filter') : t('All that are kept'), '', format === 'svg')}
        ${onlyDialog ? null : radio('live-scope', 'selected', what, setScope, t('The selected ({count})', {count: selected.length}), '', selected.length === 0)}
        ${radio('live-scope', 'dialog', what, setScope, t('This dialog'), dialogTitle ?? '', !dialog)}</fieldset>
      ${problem ? html`<p class="live-problem" role="alert"><span aria-hidden="true">✕</span> ${problem}</p>` : null}
      <div class="live-form-end"><${Button} kind="primary" busy=${busy} disabled=${busy || (what === 'selected' && !selected.length)} onClick=${save}>${t('Save')}<//></div>
    </form>`;
}

const read = file => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ''));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

export async function openFile(file) {
  if (file.size > LARGEST) {
    throw new Error(t('{name} is larger than 32 MiB; open it with “sipx trace open”', {name: file.name}));
  }
  return call('monitor.open', {name: file.name, data_base64: await read(file)});
}
