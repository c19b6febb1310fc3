/** The configuration file: its text, all settings, its history. */
import {
  Badge, Busy, Button, Card, Copy, Dialog, Diff, Empty, Page, Setting, Table, Tabs, Trouble, call, can, draft, failed,
  fmt, hooks, html, navigate, registerPage, t, toast, useCall, useTopic,
} from 'sipx';
import {base, verdict} from '../core/draft.js';
import {undo} from '../core/draftcheck.js';
import {reload as reloadFile} from '../core/moving.js';
import {Consequences} from '../parts/consequences.js';
import {Editor} from '../parts/editor.js';
import {needs} from '../parts/settings/acting.js';

const {useEffect, useMemo, useState} = hooks;

function ConfigPage({params}) {
  const tab = params.tab ?? (params.key ? 'settings' : 'text');
  const {state: config} = useTopic('config');
  const actions = html`<${Download} />`;
  return html`<${Page} title=${t('Config')} help="configuration" command="sipx config show" fill=${tab === 'text'} actions=${actions}
      lead=${base.value && html`<span class="mono">${base.value.file}</span> <${Copy} text=${base.value.file} />`}>
    <${Stale} />
    <${Tabs} label=${t('Parts of the configuration')} value=${tab} onChange=${(next) => navigate('config', {tab: next}, {replace: true})}
      items=${[{id: 'text', title: t('Text')}, {id: 'settings', title: t('All settings'), count: base.value?.settings.size},
    {id: 'history', title: t('History')}]} />
    ${tab === 'text' && html`<${TextTab} line=${Number(params.line) || 0} etag=${config?.etag} />`}
    ${tab === 'settings' && html`<${SettingsTab} wanted=${params.key} />`}
    ${tab === 'history' && html`<${HistoryTab} etag=${config?.etag ?? base.value?.etag} />`}
  <//>`;
}

/** Where the file holds what is not in use. */
function Stale() {
  const {data} = useCall('config.running', {}, {every: 5, deps: [base.value?.etag]});
  const other = data?.other ?? [];
  if (!other.length) return null;
  async function reload() {
    try {
      await reloadFile();
      toast(t('The configuration file is in use as it is now.'), {kind: 'ok'});
    } catch (error) {
      failed(error);
    }
  }
  return html`<div class="notice notice-warn" role="status"><${Badge} kind="warn" text=${t('not in use')} />
    <span>${t('The file says something else than what runs:')} <code>${other.slice(0, 6).join(', ')}${other.length > 6 ? ' …' : ''}</code></span>
    <${Button} small icon="reload" onClick=${reload} ...${needs('operator')}>${t('Reload')}<//></div>`;
}

function Download() {
  async function save() {
    try {
      const {text, file} = await call('config.text');
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob([text], {type: 'application/toml'}));
      link.download = file.split('/').at(-1);
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    } catch (error) {
      failed(error);
    }
  }
  return html`<${Button} icon="download" onClick=${save} title=${t('Without its secrets')}>${t('Download')}<//>`;
}

// ---------------------------------------------------------------- text

function TextTab({line, etag}) {
  const {data, error} = useCall('config.text', {}, {deps: [etag, base.value?.etag]});
  const [target, setTarget] = useState(null);
  const loaded = data !== null;
  useEffect(() => { if (line && loaded) setTarget({line}); }, [line, loaded]);
  if (error) return html`<${Trouble} error=${error} />`;
  if (!data) return html`<${Busy} />`;
  const text = draft.text.value;
  const fields = text === undefined && draft.count.value > 0;
  const problems = text === undefined ? [] : verdict.value.problems;
  const marks = new Map(problems.filter((one) => one.line).map((one) => [one.line, one.short ?? one.text]));
  return html`
    ${fields && html`<div class="notice" role="status"><${Badge} kind="info" text=${t('read only')} />
      <span>${t('Settings on other pages are drafted. Save or discard them, then the text can be edited.')}</span></div>`}
    ${!can('admin') && html`<div class="notice"><${Badge} kind="info" text=${t('read only')} />
      <span>${t('Only an administrator changes settings.')}</span></div>`}
    <${Editor} label=${t('Text of the configuration file')} value=${text ?? data.text} readonly=${fields || !can('admin')}
      marks=${marks} goto=${target} onChange=${(next) => draft.setText(next === data.text ? undefined : next)} />
    <div class="editor-foot">
      ${text === undefined ? html`<span class="muted">${t('Secrets are shown as {stars}; left so, they stay what they are.', {stars: '**********'})}</span>`
    : html`<${Checked} problems=${problems} onGo=${(at) => setTarget({line: at})} />`}
    </div>`;
}

function Checked({problems, onGo}) {
  const {state, error} = verdict.value;
  if (state === 'checking' || state === 'idle') return html`<${Badge} kind="busy" text=${t('checking')} />`;
  if (state === 'good') return html`<${Badge} kind="ok" text=${t('valid')} />`;
  const list = problems.length ? problems : [{text: error.message}];
  return html`<ul class="problem-list" aria-label=${t('Problems')}>${list.map(({text, line, short, key}) => html`<li key=${text}>
    <${Badge} kind="bad" text=${line ? t('line {n}', {n: line}) : t('not valid')} />
    ${line ? html`<button type="button" class="link-button" onClick=${() => onGo(line)}>${key ? `${key}: ${short}` : text}</button>`
    : html`<span>${text}</span>`}</li>`)}</ul>`;
}

// ---------------------------------------------------------------- all settings

function shown(value) {
  if (value === null || value === undefined) return html`<span class="muted">${t('not set')}</span>`;
  return typeof value === 'string' ? value || '""' : JSON.stringify(value);
}

function SettingsTab({wanted}) {
  const settings = base.value?.settings;
  const edits = draft.count.value;
  const rows = useMemo(() => [...settings ?? []].map(([key, one]) => ({key, ...one, now: draft.value(key), changed: draft.isChanged(key)})),
    [settings, edits, verdict.value]);
  if (!settings) return html`<${Busy} />`;
  const columns = [
    {id: 'key', title: t('Key'), sort: true, wrap: true, text: ({key, help}) => `${key} ${t(help)}`,
      render: ({key, help}) => html`<span class="mono">${key}</span>${help && html`<span class="setting-help">${t(help)}</span>`}`},
    {id: 'now', title: t('Value'), mono: true, text: ({now}) => JSON.stringify(now ?? ''), render: ({now}) => shown(now)},
    {id: 'line', title: t('Origin'), sort: true, render: ({line, changed}) => (changed
      ? html`<span class="origin-draft">${t('changed')}</span>`
      : line === null ? html`<span class="muted">${t('default')}</span>` : t('line {n}', {n: line}))},
  ];
  return html`<${Card} flush><${Table} label=${t('Settings')} rows=${rows} columns=${columns} keyOf=${({key}) => key} filterable
      onOpen=${({key}) => navigate('config', {tab: 'settings', key})} selected=${wanted}
      empty=${{title: t('The file cannot be read')}} /><//>
    ${wanted && settings.has(wanted) && html`<${Dialog} title=${wanted} wide onClose=${() => navigate('config', {tab: 'settings'}, {replace: true})}
        actions=${html`<${Button} kind="primary" onClick=${() => navigate('config', {tab: 'settings'}, {replace: true})}>${t('Close')}<//>`}>
      <${Setting} k=${wanted} /><p class="muted mono">sipx config set ${wanted} …</p><//>`}`;
}

// ---------------------------------------------------------------- history

function HistoryTab({etag}) {
  const {data, error, reload} = useCall('config.history', {}, {deps: [etag]});
  const [chosen, setChosen] = useState(null);
  if (error) return html`<${Trouble} error=${error} retry=${reload} />`;
  if (!data) return html`<${Busy} />`;
  const rows = [...data.versions].reverse();
  const newest = rows[0]?.number;
  const columns = [
    {id: 'number', title: t('Version'), sort: true, width: '88px'},
    {id: 'time', title: t('When'), sort: true, render: ({time}) => fmt.time(time)},
    {id: 'author', title: t('Who'), sort: true, render: ({author}) => author || html`<span class="muted">${t('unknown')}</span>`},
    {id: 'why', title: t('What'), wrap: true},
    {id: 'do', title: t('Action'), hideTitle: true, align: 'right', render: ({number}) => (number === newest
      ? html`<${Badge} kind="ok" text=${t('as it is now')} />`
      : html`<${Button} small icon="undo" onClick=${() => setChosen(number)}>${t('Go back …')}<//>`)},
  ];
  return html`<${Card} flush><${Table} label=${t('Versions of the file')} rows=${rows} columns=${columns} keyOf=${({number}) => number}
      empty=${{icon: 'clock', title: t('No version is kept yet'), text: t('Each change by sipx keeps the file as it was before.')}} /><//>
    ${chosen !== null && html`<${BackDialog} number=${chosen} onClose=${() => setChosen(null)} onDone=${() => { setChosen(null); void reload(); }} />`}`;
}

function BackDialog({number, onClose, onDone}) {
  const admin = can('admin');
  const {data, error} = useCall(admin ? 'config.undo' : null, {number, dry_run: true});
  const [busy, setBusy] = useState(false);
  async function back() {
    setBusy(true);
    try {
      await undo(number);
      toast(t('Version {n} is in use again.', {n: number}), {kind: 'ok'});
      onDone();
    } catch (failure) {
      failed(failure);
      setBusy(false);
    }
  }
  return html`<${Dialog} wide title=${t('Go back to version {n}', {n: number})} onClose=${onClose}
      actions=${html`<${Button} onClick=${onClose}>${t('Cancel')}<//>
        <${Button} kind="primary" icon="undo" busy=${busy} disabled=${!data || draft.count.value > 0} onClick=${back}>${t('Go back')}<//>`}>
    ${!admin && html`<p>${t('Only an administrator changes settings.')}</p>`}
    ${error && html`<${Trouble} error=${error} />`}
    ${admin && !data && !error && html`<${Busy} />`}
    ${draft.count.value > 0 && html`<p class="problem">${t('Save or discard your draft first.')}</p>`}
    ${data && (data.diff.length ? html`<${Diff} lines=${data.diff} /><${Consequences} plan=${data.plan} />`
    : html`<${Empty} title=${t('Nothing is different.')} />`)}
  <//>`;
}

registerPage({id: 'config', title: 'Config', group: 'run', order: 40, icon: 'file', Page: ConfigPage,
  help: 'configuration', command: 'sipx config show'});
