// Logs (Diagnostics in the original): follow, levels, files, and how files are kept.
import {
  Badge, Button, Card, Form, Page, Select, Setting, Table, Tabs, call, draft, fmt, hooks, html,
  registerPage, t, toast, useCall,
} from 'sipx';
import {needs, save, useAction} from '../parts/settings/acting.js';
import {quoted} from '../parts/settings/keys.js';
import {Follow, LEVELS} from '../parts/settings/log_follow.js';
import {PluginMissing, usePlugin} from '../parts/settings/plugin.js';

const COMMAND = 'sipx log -f';
const PART = 1 << 20;
const LARGEST = 100 * PART;

const durations = () => [
  [300, t('5 minutes')], [600, t('10 minutes')], [3600, t('1 hour')], [28800, t('8 hours')],
  [null, t('until it is changed')],
];

/** The level of each area, changed at once and back by itself. */
function Levels() {
  const {data, error, reload} = useCall('log.levels', {}, {every: 5});
  const [seconds, setSeconds] = hooks.useState(600);
  const [other, setOther] = hooks.useState({area: '', level: 'debug'});
  const [run, busy] = useAction();
  const change = (area, level) =>
    run(area, async () => {
      const state = await call('log.level', {area, level, seconds});
      toast(
        state.known === false
          ? t('{area} is at level {level} now, but nothing logs there: is it spelt right?', {area: state.area, level})
          : t('{area} is at level {level} now.', {area: state.area, level}),
        {kind: state.known === false ? 'info' : 'ok'},
      );
      await reload();
    });
  const allowed = needs('operator');
  return html`<${Card} title=${t('Levels now')}>
    <div class="in-line">
      <span>${t('A change lasts')}</span>
      <${Select} label=${t('How long a change lasts')} value=${seconds} onChange=${setSeconds} options=${durations()} />
      <span class="muted">${t('The file is not changed.')}</span>
    </div>
    ${error && html`<p class="problem">${error.message}</p>`}
    <${Table}
      label=${`${t('Table')}: ${t('Levels now')}`}
      columns=${[
        {id: 'area', title: t('Area'), mono: true, sort: true, render: (one) => one.area},
        {
          id: 'level', title: t('Level'), width: '9rem', sort: (one) => LEVELS.indexOf(one.level),
          render: (one) => html`<${Select}
            label=${t('Level of {area}', {area: one.area})}
            value=${one.level}
            onChange=${(level) => change(one.area, level)}
            options=${LEVELS.map((level) => [level, level])}
            disabled=${Boolean(allowed.disabled) || busy === one.area}
            title=${allowed.title}
          />`,
        },
        {
          id: 'by', hide: 'narrow', title: t('Set by'),
          render: (one) =>
            one.by === 'change'
              ? html`<${Badge} kind="info" text=${one.left === null ? t('a change') : t('a change, for {time}', {time: fmt.duration(Math.ceil(one.left))})} />`
              : one.by === 'file' ? t('the file') : html`<span class="muted">${t('the area above')}</span>`,
        },
      ]}
      rows=${data?.levels ?? []}
      keyOf=${(one) => one.area}
      filterable
    />
    <form class="in-line other" onSubmit=${(event) => { event.preventDefault(); if (other.area?.trim()) void change(other.area.trim(), other.level); }}>
      <${Form}
        fields=${[
          {name: 'area', label: t('Another area'), mono: true, placeholder: 'plugin.static-routes'},
          {name: 'level', label: t('Level'), options: LEVELS.map((level) => [level, level])},
        ]}
        value=${other}
        onChange=${setOther}
      />
      <${Button} type="submit" ...${allowed}>${t('Change it')}<//>
    </form>
  <//>`;
}

/** Files, and how to get them. */
function Files() {
  const {data, error, reload} = useCall('log.files', {}, {every: 10});
  const [run, busy] = useAction();
  const [done, setDone] = hooks.useState(0);
  const download = (file) =>
    run(file.path, async () => {
      const parts = [];
      let offset = 0;
      for (let end = false; !end && offset < LARGEST;) {
        const part = await call('log.read', {path: file.path, offset, limit: PART});
        parts.push(part.data_base64);
        end = part.end || !part.data_base64;
        offset += Math.floor((part.data_base64.length * 3) / 4);
        setDone(Math.min(offset / Math.max(part.size, 1), 1));
        offset = parts.length * PART;
      }
      save(file.path.split('/').pop(), parts);
      setDone(0);
    });
  const reopen = () =>
    run('reopen', async () => {
      const answer = await call('log.reopen', {});
      toast(answer.text, {kind: 'ok'});
      await reload();
    });
  const files = data?.files ?? [];
  return html`<${Card}
    title=${t('Files')}
    flush
    actions=${html`<${Button} busy=${busy === 'reopen'} onClick=${reopen} ...${needs('operator')}>${t('Begin new files')}<//>`}
  >
    ${error && html`<p class="problem">${error.message}</p>`}
    <${Table}
      label=${`${t('Table')}: ${t('Files')}`}
      columns=${[
        {id: 'path', title: t('File'), mono: true, sort: true, render: (file) => file.path},
        {id: 'size', title: t('Size'), align: 'right', sort: true, render: (file) => fmt.bytes(file.size)},
        {id: 'modified', title: t('Last written'), align: 'right', sort: true, render: (file) => fmt.time(file.modified)},
        {
          id: 'actions', title: t('Actions'), hideTitle: true, align: 'right',
          render: (file) => html`<${Button}
            kind="ghost"
            small
            icon="download"
            busy=${busy === file.path}
            onClick=${() => download(file)}
            ...${needs('operator')}
          >
            ${busy === file.path ? fmt.percent(done) : t('Download')}
          <//>`,
        },
      ]}
      rows=${files}
      keyOf=${(file) => file.path}
      empty=${{
        title: t('No log files'),
        text: t('The log goes to stderr and to the journal. With the plugin log-rotation it is written into files as well.'),
      }}
    />
  <//>`;
}

/** The table [log.levels] of the file: levels that outlive a restart. */
function FileLevels() {
  const [values, setValues] = hooks.useState({area: '', level: 'debug'});
  const levels = Object.entries(draft.value('log.levels') ?? {});
  const key = (area) => `log.levels.${quoted(area)}`;
  const allowed = needs('admin');
  const add = (event) => {
    event.preventDefault();
    const area = values.area?.trim();
    if (!area || allowed.disabled) return;
    draft.set(key(area), values.level);
    setValues({area: '', level: 'debug'});
  };
  return html`<h3>${t('Levels of single areas')}</h3>
    ${levels.length === 0
      ? html`<p class="muted">${t('None: every area has the level above.')}</p>`
      : html`<ul class="lines">
          ${levels.map(
            ([area, level]) => html`<li key=${area}>
              <span class="mono">${area}</span>
              <span class="in-line">
                <${Select}
                  label=${t('Level of {area}', {area})}
                  value=${level}
                  onChange=${(next) => draft.set(key(area), next)}
                  options=${LEVELS.map((one) => [one, one])}
                  ...${allowed}
                />
                <${Button}
                  kind="ghost"
                  small
                  icon="trash"
                  onClick=${() => draft.unset(key(area))}
                  ...${{title: t('Remove {name}', {name: area}), ...allowed}}
                />
              </span>
            </li>`,
          )}
        </ul>`}
    ${draft.problems('log.levels', {inside: true}).map((text) => html`<p class="problem" role="alert">${text}</p>`)}
    <form class="in-line other" onSubmit=${add}>
      <${Form}
        fields=${[
          {name: 'area', label: t('Area'), mono: true, placeholder: 'tls'},
          {name: 'level', label: t('Level'), options: LEVELS.map((level) => [level, level])},
        ]}
        value=${values}
        onChange=${setValues}
      />
      <${Button} type="submit" ...${allowed}>${t('Add')}<//>
    </form>`;
}

/** Level, maximum size, daily deletion, directory: the fields of "Diagnostics". */
function Settings() {
  const plugin = usePlugin('log-rotation');
  const missing = plugin && !plugin.listed && !plugin.drafted;
  return html`<div class="cards">
    <${Card} title=${t('Log')}>
      <${Setting} k="log.level" label=${t('Log level')} />
      <${Setting} k="log.format" label=${t('Lines on stderr')} />
      <${FileLevels} />
    <//>
    <${Card} title=${t('Log files')}>
      ${missing
        ? html`<${PluginMissing} name="log-rotation" text=${t('With it the log is written into files.')} />`
        : html`<${Setting} k="log-rotation.enabled" label=${t('Write log files')} />
            <${Setting} k="log-rotation.directory" label=${t('Log file directory')} />
            <${Setting} k="log-rotation.max_size" label=${t('Maximum size of a log file')} />
            <${Setting} k="log-rotation.keep" label=${t('Old files that are kept')} />
            <${Setting} k="log-rotation.delete_daily" label=${t('Delete log files daily')} />
            <details>
              <summary>${t('Archive and transactions')}</summary>
              <${Setting} k="log-rotation.archive" label=${t('Archive directory')} />
              <${Setting} k="log-rotation.archive_keep" label=${t('Files kept in the archive')} />
              <${Setting} k="log-rotation.format" label=${t('Lines in files')} />
              <${Setting} k="log-rotation.transactions" label=${t('A file of finished requests')} />
            </details>`}
    <//>
  </div>`;
}

function Logs() {
  const [tab, setTab] = hooks.useState('follow');
  return html`<${Page}
    title=${t('Logs')}
    lead=${t('What sipx says of itself. In the original this was "Diagnostics".')}
    help="logging"
    command=${COMMAND}
    wide=${tab === 'follow'}
  >
    <${Tabs}
      label=${t('Logs')}
      items=${[
        {id: 'follow', title: t('Follow')},
        {id: 'levels', title: t('Levels')},
        {id: 'files', title: t('Files')},
        {id: 'settings', title: t('Settings')},
      ]}
      value=${tab}
      onChange=${setTab}
    />
    ${tab === 'follow' && html`<${Follow} />`}
    ${tab === 'levels' && html`<${Levels} />`}
    ${tab === 'files' && html`<${Files} />`}
    ${tab === 'settings' && html`<${Settings} />`}
  <//>`;
}

registerPage({
  id: 'logs', title: 'Logs', group: 'watch', order: 60, icon: 'log', Page: Logs, help: 'logging',
  command: COMMAND,
});
