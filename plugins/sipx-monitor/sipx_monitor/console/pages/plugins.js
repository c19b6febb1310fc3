/** The plugins: which there are, on and off, their settings, what they failed with. */
import {
  Badge, Busy, Button, Card, Command, Dialog, KeyValue, Page, Switch, Table, Trouble, call, can, confirm, draft, fmt,
  hooks, html, keyOf, navigate, registerPage, signal, t, toast, useCall, useTopic,
} from 'sipx';
import {SchemaForm} from '../parts/schemaform.js';
import {needs} from '../parts/settings/acting.js';
import {failures, panels} from '../core/registry.js';

/** Plugins that have a page of their own. */
const OWN = {
  lan: 'lan', registrar: 'servers', 'open-federation': 'federation', 'static-routes': 'routes', stun: 'nat',
  'log-rotation': 'logs',
};

function stateOf(plugin) {
  const known = {
    running: ['ok', t('runs')], starting: ['busy', t('starting')], failed: ['bad', t('failed')], off: ['off', t('off')],
  };
  return known[plugin.state] ?? (plugin.state ? ['info', plugin.state] : ['off', t('not listed')]);
}

/** Those that run, and those that are installed or drafted but not in the list of the file. */
function together(running, available, hooksOf) {
  const runs = new Map(running.map((plugin) => [plugin.name, plugin]));
  const installed = new Map(available.map((plugin) => [plugin.name, plugin]));
  const listed = draft.value('plugins') ?? [];
  const names = [...new Set([...listed, ...runs.keys(), ...[...installed.keys()].sort()])];
  return names.map((name, index) => ({
    state: '', faults: 0, services: [], ...runs.get(name),
    hooks: hooksOf[name] ?? [], name, index, listed: listed.includes(name), version: (runs.get(name) ?? installed.get(name))?.version ?? '',
    distribution: installed.get(name)?.distribution ?? '', about: installed.get(name)?.summary ?? '',
    on: listed.includes(name) && draft.value(keyOf(name, 'enabled')) !== false,
  }));
}

async function flip({name, listed}, on) {
  if (!on && name === 'monitor' && !await confirm({title: t('Switch the console off?'), action: t('Switch off'), danger: true,
    text: html`<p>${t('As soon as the draft is saved, this console is gone. The command line brings it back:')}</p>
      <p><code>sipx plugins enable monitor</code></p>`})) return;
  if (on && !listed) draft.set('plugins', [...(draft.value('plugins') ?? []), name]);
  const known = draft.schema(keyOf(name, 'enabled'));
  if (known) draft.set(keyOf(name, 'enabled'), on);
  else if (!on) draft.set('plugins', draft.value('plugins').filter((one) => one !== name));
}

function PluginsPage({params}) {
  const {state, error} = useTopic('plugins');
  const {data: available, error: unknown} = useCall('plugins.available');
  const lead = t('Every transport, every way to a partner and this console is a plugin. They are asked in the order of the list.');
  if (!state || !available || !draft.schemaReady.value) {
    const wrong = error ?? unknown;
    return html`<${Page} title=${t('Plugins')} help="writing-a-plugin" command="sipx plugins list" lead=${lead}>
      ${wrong ? html`<${Trouble} error=${wrong} />` : html`<${Busy} />`}<//>`;
  }
  const rows = together(state.plugins, available.plugins, state.hooks);
  const open = rows.find(({name}) => name === params.plugin);
  const barred = !can('admin') || draft.locked.value;
  const columns = [
    {id: 'on', title: t('On'), width: '56px', render: (row) => html`<${Switch} checked=${row.on} hideLabel disabled=${barred} title=${needs('admin').title}
      label=${t('{name} is on', {name: row.name})} onChange=${(on) => flip(row, on)} />`},
    {id: 'name', title: t('Name'), sort: true, render: (row) => html`<strong>${row.name}</strong>
      ${(draft.isChanged(row.name) || (row.listed !== (row.state !== ''))) && html` <span class="origin-draft">${t('changed')}</span>`}`},
    {id: 'state', title: t('State'), sort: true, render: (row) => {
      const [kind, text] = stateOf(row);
      return html`<${Badge} kind=${kind} text=${text} />`;
    }},
    {id: 'about', title: t('What it does'), wrap: true, hide: 'narrow'},
    {id: 'faults', title: t('Errors'), align: 'right', sort: true, render: ({faults, state: is}) => (
      faults ? html`<span class="problem">${fmt.number(faults)}</span>` : is ? '0' : '')},
    {id: 'version', title: t('Version'), hide: 'narrow', mono: true},
  ];
  return html`<${Page} title=${t('Plugins')} help="writing-a-plugin" command="sipx plugins list" lead=${lead}>
    <${Card} flush><${Table} label=${t('Plugins')} rows=${rows} columns=${columns} keyOf=${({name}) => name}
      onOpen=${({name}) => navigate('plugins', {plugin: name})} selected=${params.plugin} filterable
      empty=${{title: t('No plugin is installed')}} /><//>
    ${open && html`<${PluginDialog} plugin=${open} onClose=${() => navigate('plugins')} />`}
  <//>`;
}

/** What was measured last, by plugin and hook. */
const measured = signal(null);

async function measure(setBusy) {
  setBusy(true);
  try {
    measured.value = await call('plugins.measure', {seconds: 5});
  } catch (error) {
    toast(error.message, {kind: 'bad'});
  }
  setBusy(false);
}

const micro = (seconds) => t('{n} µs', {n: fmt.number(Math.round(seconds * 1e7) / 10)});

/** The hooks of a plugin, with the times that were measured. */
function Hooks({plugin, names}) {
  const [busy, setBusy] = hooks.useState(false);
  const times = new Map((measured.value?.hooks ?? []).filter((one) => one.plugin === plugin).map((one) => [one.hook, one]));
  const rows = names.map((name) => ({name, ...times.get(name)}));
  return html`<h3>${t('Hooks')}</h3>
    <p class="muted">${t('Where it takes part. Times are measured only when asked for: what passes sipx meanwhile is a little slower.')}</p>
    <${Table} label=${t('Hooks')} rows=${rows} keyOf=${({name}) => name} columns=${[
    {id: 'name', title: t('Name'), mono: true},
    {id: 'calls', title: t('Asked'), align: 'right', render: ({calls}) => (calls === undefined ? '' : fmt.number(calls))},
    {id: 'mean', title: t('Mean'), align: 'right', render: ({mean}) => (mean ? micro(mean) : '')},
    {id: 'longest', title: t('Slowest'), align: 'right', render: ({longest, calls}) => (calls ? micro(longest) : '')},
  ]} />
    <${Button} icon="pulse" busy=${busy} onClick=${() => measure(setBusy)}
      ...${needs('operator')}>${t('Measure for 5 s')}<//>`;
}

function PluginDialog({plugin, onClose}) {
  const [kind, text] = stateOf(plugin);
  const own = OWN[plugin.name];
  const shown = panels.value.filter(({plugin: name}) => name === plugin.name);
  const broken = failures.value.find(({module}) => module === plugin.name);
  const services = plugin.services ?? [];
  return html`<${Dialog} wide title=${plugin.name} onClose=${onClose}
      actions=${html`${own && html`<${Button} icon="arrowright" onClick=${() => navigate(own)}>${t('To its page')}<//>`}
        <${Button} kind="primary" onClick=${onClose}>${t('Close')}<//>`}>
    ${plugin.about && html`<p>${plugin.about}</p>`}
    <${KeyValue} rows=${[
    [t('State'), html`<${Badge} kind=${kind} text=${text} />`],
    plugin.version && [t('Version'), `${plugin.distribution} ${plugin.version}`.trim(), {mono: true}],
    [t('Place in the list'), plugin.listed ? t('{n} of {all}', {n: plugin.index + 1, all: (draft.value('plugins') ?? []).length})
      : t('installed, but not in the list: it is never imported')],
    [t('Errors'), plugin.faults ? html`<span class="problem">${t('{n} since the start; the log has them', {n: plugin.faults})}</span>` : '0'],
    broken && [t('Panels'), html`<span class="problem">${t('Its module cannot be loaded: {error}', {error: broken.error.message})}</span>`],
    shown.length > 0 && [t('Panels'), shown.map(({title}) => title).join(', ')],
  ]} />
    ${services.length > 0 && html`<h3>${t('Services')}</h3><${Table} label=${t('Services')} rows=${services} columns=${[
    {id: 'name', title: t('Name'), mono: true},
    {id: 'state', title: t('State'), render: ({state}) => html`<${Badge} text=${state}
      kind=${{running: 'ok', failed: 'bad', starting: 'busy'}[state] ?? 'off'} />`},
    {id: 'restarts', title: t('Restarts'), align: 'right'},
    {id: 'error', title: t('Failed last with'), wrap: true, render: ({error}) => error || html`<span class="muted">–</span>`},
  ]} />`}
    ${plugin.hooks.length > 0 && html`<${Hooks} plugin=${plugin.name} names=${plugin.hooks} />`}
    <h3>${t('Settings')}</h3>
    ${plugin.listed || draft.schema(plugin.name) ? html`<${SchemaForm} k=${plugin.name} level=${4} />`
    : html`<p class="muted">${t('Its settings are known once it is in the list.')}</p>`}
    <${Command} text=${`sipx plugins ${plugin.on ? 'disable' : 'enable'} ${plugin.name}`} />
  <//>`;
}

registerPage({id: 'plugins', title: 'Plugins', group: 'run', order: 30, icon: 'puzzle', Page: PluginsPage,
  help: 'writing-a-plugin', command: 'sipx plugins list'});
