// LAN settings: with what UC servers log on, and where; who has; who is banned.
import {
  Badge, Button, Card, Icon, Page, Setting, Table, Tabs, call, draft, fmt, hooks, html,
  registerPage, t, toast, useCall, useTopic,
} from 'sipx';
import {needs, useAction} from '../parts/settings/acting.js';
import {AccountProperties, AddAccount} from '../parts/settings/account.js';
import {ListenerSettings} from '../parts/settings/listener.js';
import {WithPlugin} from '../parts/settings/plugin.js';
import {removeTable} from '../parts/settings/removing.js';
import {activeColumn, tableRows} from '../parts/settings/rows.js';
import {InterfaceState, NotThere, proofText, protocolText} from '../parts/settings/states.js';

const COMMAND = 'sipx config show lan';

/** User name, password, IP address, port, protocol: the fields of the original. */
function Logon() {
  return html`<${Card} title=${t('Logon of the UC servers')}>
    <${Setting} k="lan.user" label=${t('User name')} />
    <${Setting} k="lan.password" label=${t('Password')} />
    <details>
      <summary>${t('More about the logon')}</summary>
      <${Setting} k="lan.realm" label=${t('Realm')} />
      <${Setting} k="lan.addresses" label=${t('Addresses it may come from')} />
      <${Setting} k="lan.allow_md5" label=${t('Allow MD5')} />
      <${Setting} k="lan.nonce_lifetime" label=${t('Lifetime of a challenge')} />
    </details>
  <//>`;
}

function Listener() {
  const {state} = useTopic('interfaces', {});
  const mine = (state?.interfaces ?? []).filter((one) => one.role === 'lan');
  return html`<${Card} title=${t('Where they log on')}>
    <${ListenerSettings} k="lan" none=${t('none: interfaces of the role "lan"')} />
    <h3>${t('Listening now')}</h3>
    ${mine.length === 0
      ? html`<p class="muted">
          ${t('Nothing listens on the side of the LAN: give an IP address here, or add an interface of the role "lan".')}
        </p>`
      : html`<ul class="lines">
          ${mine.map(
            (one) => html`<li>
              <span>
                <strong>${one.name}</strong>${' '}
                <span class="mono">
                  ${protocolText(one.protocol)} ${one.address ?? one.bind} : ${one.port ?? one.configured_port}
                </span>
              </span>
              <${InterfaceState} summary=${one} />
            </li>`,
          )}
        </ul>`}
  <//>`;
}

const KINDS = () => ({
  server: t('UC server'),
  user: t('User'),
  partner: t('Partner'),
});

function LoggedOn({row}) {
  if (row.removed) return html`<${Badge} kind="warn" text=${t('Removed in the draft')} />`;
  if (!row.live) return html`<${NotThere} k=${row.key} />`;
  const {live} = row;
  if (live.trouble) {
    return html`<div class="state-cell">
      <${Badge} kind="warn" text=${t('Trouble')} /><span class="reason">${live.trouble}</span>
    </div>`;
  }
  if (!live.logged_on.length && !live.registered) {
    return html`<${Badge} kind="off" text=${t('Not logged on')} />`;
  }
  return html`<div class="state-cell">
    <${Badge} kind="ok" text=${t('Logged on')} />
    ${live.logged_on.length > 0 && html`<span class="reason mono">${live.logged_on.join(', ')}</span>`}
  </div>`;
}

function accountColumns({open, remove}) {
  const kinds = KINDS();
  return [
    activeColumn(),
    {
      id: 'name', title: t('Account'), sort: (row) => row.name,
      render: (row) => html`<span class=${row.removed ? 'removed' : ''}>${row.name}</span>`,
    },
    {
      id: 'kind', hide: 'narrow', title: t('Kind'),
      render: (row) => kinds[row.live?.kind ?? draft.value(`${row.key}.kind`)] ?? '–',
    },
    {
      id: 'user', hide: 'narrow', title: t('User name'), mono: true,
      render: (row) => (row.own ? draft.value(`${row.key}.user`) || row.name : row.live?.user),
    },
    {id: 'proof', hide: 'narrow', title: t('Proven by'), render: (row) => proofText(row.live?.proof)},
    {id: 'users', hide: 'narrow', title: t('Users'), mono: true, render: (row) => row.live?.users ?? '–'},
    {id: 'state', title: t('Status'), render: (row) => html`<${LoggedOn} row=${row} />`},
    {
      id: 'since', hide: 'narrow', title: t('Since'), align: 'right', sort: (row) => row.live?.since ?? 0,
      render: (row) => (row.live?.since ? fmt.ago(row.live.since) : '–'),
    },
    {
      id: 'actions', hide: 'narrow', title: t('Actions'), hideTitle: true, align: 'right',
      render: (row) => html`<span class="row-actions">
        ${row.removed
          ? html`<${Button} kind="ghost" small icon="undo" onClick=${() => draft.revert(row.key)}>${t('Undo')}<//>`
          : row.own &&
            html`<${Button} kind="ghost" small onClick=${() => open(row)}>${t('Properties')}<//>
              <${Button}
                kind="ghost"
                small
                icon="trash"
                onClick=${() => remove(row)}
                aria-label=${t('Remove {name}', {name: row.name})}
                ...${{title: t('Remove {name}', {name: row.name}), ...needs('admin')}}
              />`}
      </span>`,
    },
  ];
}

function Accounts() {
  const {state, error} = useTopic('accounts', {});
  const [open, setOpen] = hooks.useState('');
  const [adding, setAdding] = hooks.useState(false);
  const rows = tableRows('lan.server', state?.accounts ?? []);
  const opened = rows.find((row) => row.name === open && row.own);
  const remove = (row) =>
    removeTable(row.key, t('account {name}', {name: row.name}),
      row.live?.logged_on?.length ? t('It is logged on; its connections end when the draft is applied.') : undefined);
  return html`<${Card}
    title=${t('Accounts of UC servers')}
    flush
    class="dense"
    actions=${html`<${Button} kind="primary" icon="add" onClick=${() => setAdding(true)} ...${needs('admin')}>
      ${t('Add')}
    <//>`}
  >
    ${error && html`<p class="problem">${error.message}</p>`}
    <${Table}
      label=${`${t('Table')}: ${t('Accounts of UC servers')}`}
      columns=${accountColumns({open: (row) => setOpen(row.name), remove})}
      rows=${rows}
      keyOf=${(row) => row.name}
      onOpen=${(row) => row.own && setOpen(row.name)}
      filterable=${rows.length > 8}
      empty=${{
        title: t('No accounts'),
        text: t('One account for each UC server is safer than the user name that all share.'),
      }}
    />
    ${adding && html`<${AddAccount} onClose=${() => setAdding(false)} />`}
    ${opened && html`<${AccountProperties} row=${opened} remove=${remove} onClose=${() => setOpen('')} />`}
  <//>`;
}

/** Who gets no answer because of wrong passwords. */
function Bans() {
  const {data, error, reload} = useCall('lan.bans', {}, {every: 3});
  const [run, busy] = useAction();
  const unban = (source) =>
    run(source || 'all', async () => {
      const done = await call('lan.unban', {source});
      toast(done.text, {kind: 'ok'});
      await reload();
    });
  const bans = data?.bans ?? [];
  return html`<${Card}
      title=${t('Banned sources')}
      flush
      actions=${bans.length > 1 &&
      html`<${Button} busy=${busy === 'all'} onClick=${() => unban('')} ...${needs('operator')}>
        ${t('Unban all')}
      <//>`}
    >
      ${error && html`<p class="problem">${error.message}</p>`}
      <${Table}
        label=${`${t('Table')}: ${t('Banned sources')}`}
        columns=${[
          {id: 'source', title: t('Source'), mono: true, sort: (ban) => ban.source, render: (ban) => ban.source},
          {
            id: 'failures', title: t('Wrong attempts'), align: 'right', sort: (ban) => ban.failures,
            render: (ban) => fmt.number(ban.failures),
          },
          {id: 'times', title: t('Times banned'), align: 'right', render: (ban) => fmt.number(ban.times)},
          {id: 'since', hide: 'narrow', title: t('Since'), align: 'right', render: (ban) => fmt.time(ban.since)},
          {id: 'until', title: t('Ends'), align: 'right', render: (ban) => fmt.ago(ban.until)},
          {
            id: 'actions', title: t('Actions'), hideTitle: true, align: 'right',
            render: (ban) => html`<span class="row-actions"><${Button}
              kind="ghost"
              small
              busy=${busy === ban.source}
              onClick=${() => unban(ban.source)}
              ...${needs('operator')}
            >
              ${t('Unban')}
            <//></span>`,
          },
        ]}
        rows=${bans}
        keyOf=${(ban) => ban.source}
        empty=${{title: t('Nobody is banned'), text: t('Who guesses passwords gets no answer for a while, and stands here.')}}
      />
    <//>
    <${Card} title=${t('Wrong passwords')}>
      <${Setting} k="lan.max_failures" label=${t('Wrong attempts until 403')} />
      <${Setting} k="lan.ban_after" label=${t('Wrong attempts until a ban')} />
      <${Setting} k="lan.failure_window" label=${t('How long an attempt counts')} />
      <${Setting} k="lan.ban_time" label=${t('Length of a ban')} />
      <${Setting} k="lan.never_ban" label=${t('Never ban')} />
    <//>`;
}

function Lan() {
  const [tab, setTab] = hooks.useState('logon');
  const bans = useCall('lan.bans', {}, {every: 10}).data?.bans.length ?? 0;
  const on = draft.value('lan.enabled') !== false;
  return html`<${Page}
    title=${t('LAN settings')}
    lead=${t('With what your UC servers log on to sipx, and where.')}
    help="uc-servers"
    command=${COMMAND}
    wide=${tab !== 'logon'}
  >
    <${WithPlugin} name="lan" text=${t('With it UC servers log on with user name and password.')}>
      ${!on &&
      html`<p class="remark warn">
        <${Icon} name="warn" /> ${t('The logon is switched off: no UC server can log on.')}${' '}
        <${Button} onClick=${() => draft.set('lan.enabled', true)} ...${needs('admin')}>${t('Switch on')}<//>
      </p>`}
      <${Tabs}
        label=${t('LAN settings')}
        items=${[
          {id: 'logon', title: t('Logon')},
          {id: 'accounts', title: t('Accounts')},
          {id: 'bans', title: t('Bans'), count: bans || undefined},
        ]}
        value=${tab}
        onChange=${setTab}
      />
      ${tab === 'logon' &&
      html`<div class="cards"><${Logon} /><${Listener} /></div>
        <${Now} />`}
      ${tab === 'accounts' && html`<${Accounts} />`}
      ${tab === 'bans' && html`<${Bans} />`}
    <//>
  <//>`;
}

/** Who is logged on now: beside the settings, as in the original's main window. */
function Now() {
  const {state} = useTopic('accounts', {});
  const on = (state?.accounts ?? []).filter((one) => one.logged_on.length || one.registered);
  return html`<${Card} title=${t('Logged on now')} flush>
    <${Table}
      label=${`${t('Table')}: ${t('Logged on now')}`}
      columns=${[
        {id: 'name', title: t('Account'), render: (one) => one.name},
        {id: 'proof', hide: 'narrow', title: t('Proven by'), render: (one) => proofText(one.proof)},
        {id: 'from', title: t('From'), mono: true, render: (one) => one.logged_on.join(', ') || '–'},
        {id: 'since', hide: 'narrow', title: t('Since'), align: 'right', render: (one) => (one.since ? fmt.ago(one.since) : '–')},
      ]}
      rows=${on}
      keyOf=${(one) => one.name}
      empty=${{title: t('No UC server is logged on'), text: t('Give it this address, port, user name and password.')}}
    />
  <//>`;
}

registerPage({
  id: 'lan',
  title: 'LAN',
  group: 'setup',
  order: 40,
  icon: 'lan',
  Page: Lan,
  help: 'uc-servers',
  command: COMMAND,
});
