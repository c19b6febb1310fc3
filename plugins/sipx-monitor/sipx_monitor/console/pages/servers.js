// UC servers: how they are, what share they have, and who is registered where.
import {
  Button, Card, Dialog, Icon, KeyValue, Page, Setting, Table, Tabs, call, confirm, fmt, hooks, html,
  navigate, registerPage, t, toast, useTopic,
} from 'sipx';
import {needs, useAction} from '../parts/settings/acting.js';
import {WithPlugin} from '../parts/settings/plugin.js';
import {Registrations} from '../parts/settings/registrations.js';
import {ServerBadge} from '../parts/settings/states.js';

const COMMAND = 'sipx servers list';

/** Drain, resume and disconnect; what they do is said before. */
function useOrders() {
  const [run, busy] = useAction();
  const order = (method, name, question) => async () => {
    if (question && !(await confirm(question))) return;
    await run(name, async () => {
      const state = await call(method, {name});
      toast(t('{name} is {state} now.', {name, state: state.state}), {kind: 'ok'});
    });
  };
  const drain = (name) =>
    order('registrar.drain', name, {
      title: t('Drain {name}?', {name}),
      text: t('It gets no users and no conversations any more that others may serve. What is under way goes on.'),
      action: t('Drain'),
    });
  const disconnect = (name) =>
    order('registrar.disconnect', name, {
      title: t('Disconnect {name}?', {name}),
      text: t('Its connections are closed, and it cannot log on again until you let it serve again.'),
      action: t('Disconnect'),
      danger: true,
    });
  const resume = (name) => order('registrar.resume', name);
  return {drain, disconnect, resume, busy};
}

function Share({server}) {
  return html`<span class="share" title=${t('of the requests of the last minute')}>
    <meter min="0" max="1" value=${server.share} aria-label=${t('Share of {name}', {name: server.name})}></meter>
    <span>${fmt.number(server.share * 100)} %</span>
  </span>`;
}

function Orders({server, orders}) {
  const held = ['draining', 'maintenance'].includes(server.state);
  const busy = orders.busy === server.name;
  return html`<span class="row-actions">
    ${held
      ? html`<${Button} kind="ghost" small busy=${busy} onClick=${orders.resume(server.name)} ...${needs('operator')}>
          ${t('Resume')}
        <//>`
      : html`<${Button} kind="ghost" small busy=${busy} onClick=${orders.drain(server.name)} ...${needs('operator')}>
          ${t('Drain')}
        <//>`}
    ${server.state !== 'maintenance' &&
    html`<${Button} kind="ghost" small onClick=${orders.disconnect(server.name)} ...${needs('operator')}>
      ${t('Disconnect')}
    <//>`}
  </span>`;
}

function columns(orders) {
  return [
    {id: 'name', title: t('Server'), sort: (one) => one.name, render: (one) => one.name},
    {
      id: 'state', title: t('Status'), sort: (one) => one.state,
      render: (one) => html`<div class="state-cell">
        <${ServerBadge} state=${one.state} />
        ${one.state !== 'up' && one.reason && html`<span class="reason">${one.reason}</span>`}
      </div>`,
    },
    {
      id: 'since', hide: 'narrow', title: t('For'), align: 'right', sort: (one) => one.lasting,
      render: (one) => fmt.duration(one.lasting),
    },
    {id: 'address', hide: 'narrow', title: t('Address'), mono: true, render: (one) => one.address || '–'},
    {
      id: 'users', title: t('Users'), align: 'right', sort: (one) => one.users,
      render: (one) => fmt.number(one.users),
    },
    {id: 'share', hide: 'narrow', title: t('Share'), sort: (one) => one.share, render: (one) => html`<${Share} server=${one} />`},
    {
      id: 'requests', hide: 'narrow', title: t('Requests'), align: 'right', sort: (one) => one.requests,
      render: (one) => fmt.number(one.requests),
    },
    {
      id: 'rtt', hide: 'narrow', title: t('Answers in'), align: 'right', sort: (one) => one.round_trip ?? 1e9,
      render: (one) => (one.round_trip === null ? '–' : fmt.duration(one.round_trip)),
    },
    {id: 'actions', hide: 'narrow', title: t('Actions'), hideTitle: true, align: 'right', render: (one) => html`<${Orders} server=${one} orders=${orders} />`},
  ];
}

function Detail({server, orders, onClose}) {
  const rows = [
    [t('Status'), html`<${ServerBadge} state=${server.state} />`],
    [t('Reason'), server.reason || '–'],
    [t('What sipx finds out'), html`<${ServerBadge} state=${server.health} />`],
    [t('Since'), fmt.time(server.since)],
    [t('Address'), server.address || '–', {mono: true}],
    [t('sipx connects to'), server.connects_to || t('it comes to us'), {mono: Boolean(server.connects_to)}],
    [t('Serves'), server.serves ? server.serves.join(', ') : t('everybody in your domains')],
    [t('Users'), fmt.number(server.users)],
    [
      t('Weight'),
      server.weight_now < server.weight
        ? t('{now} of {weight}: its share grows again', {now: fmt.number(server.weight_now, 1), weight: server.weight})
        : fmt.number(server.weight),
    ],
    [t('Pings, answered'), `${fmt.number(server.pings)}, ${fmt.number(server.pongs)}`],
    [t('Failures'), fmt.number(server.failures)],
  ];
  const actions = html`
    <${Orders} server=${server} orders=${orders} />
    <${Button} onClick=${() => navigate('lan', {})}>${t('Its account')}<//>
    <${Button} kind="primary" onClick=${onClose}>${t('Done')}<//>
  `;
  return html`<${Dialog} title=${t('UC server {name}', {name: server.name})} onClose=${onClose} actions=${actions} wide>
    <${KeyValue} rows=${rows} />
    <h3>${t('Connections')}</h3>
    <${Table}
      label=${t('Connections')}
      columns=${[
        {id: 'flow', title: t('Connection'), mono: true, render: (flow) => flow.flow},
        {id: 'since', hide: 'narrow', title: t('Since'), render: (flow) => fmt.ago(flow.since)},
        {
          id: 'expires', title: t('Registered until'),
          render: (flow) => (flow.expires === null ? '–' : fmt.time(flow.expires)),
        },
        {id: 'logon', title: t('Logged on there'), render: (flow) => (flow.logon ? t('yes') : t('no'))},
        {id: 'way', title: t('Opened by'), render: (flow) => (flow.outbound ? t('sipx') : t('the other end'))},
      ]}
      rows=${server.flows}
      keyOf=${(flow) => flow.id}
      empty=${{title: t('No connections'), text: server.reason}}
    />
  <//>`;
}

function List() {
  const {state, error} = useTopic('servers', {});
  const orders = useOrders();
  const [open, setOpen] = hooks.useState('');
  const servers = state?.servers ?? [];
  const opened = servers.find((one) => one.name === open);
  const down = servers.filter((one) => one.state === 'down').map((one) => one.name);
  return html`
    ${error && html`<p class="problem" role="alert">${error.message}</p>`}
    ${down.length > 0 &&
    html`<p class="remark bad" role="status">
      <${Icon} name="warn" /> ${t('Down: {names}. Their users are served by others where they may be.', {names: down.join(', ')})}
    </p>`}
    <${Card} flush class="dense">
      <${Table}
        label=${t('UC servers')}
        columns=${columns(orders)}
        rows=${servers}
        keyOf=${(one) => one.name}
        onOpen=${(one) => setOpen(one.name)}
        filterable
        empty=${{
          level: 2,
          title: t('No UC servers'),
          text: t('Add an account on the page LAN; the server that logs on with it stands here.'),
          action: html`<${Button} onClick=${() => navigate('lan', {})}>${t('Open LAN')}<//>`,
        }}
      />
    <//>
    ${opened && html`<${Detail} server=${opened} orders=${orders} onClose=${() => setOpen('')} />`}
  `;
}

function Settings() {
  return html`<div class="cards">
    <${Card} title=${t('Registered users')}>
      <${Setting} k="registrar.store" label=${t('Where they live')} />
      <${Setting} k="registrar.default_expires" label=${t('How long they last')} />
      <${Setting} k="registrar.min_expires" label=${t('Shortest')} />
      <${Setting} k="registrar.max_expires" label=${t('Longest')} />
      <${Setting} k="registrar.max_bindings" label=${t('Places of one user')} />
      <${Setting} k="registrar.moved" label=${t('When a user moves to another server')} />
      <${Setting} k="registrar.fork" label=${t('Several places of one user')} />
      <${Setting} k="registrar.register_rate" label=${t('REGISTER requests per second')} />
    <//>
    <${Card} title=${t('Health')}>
      <${Setting} k="registrar.ping_interval" label=${t('Ask for signs of life every')} />
      <${Setting} k="registrar.ping_timeout" label=${t('Wait for an answer')} />
      <${Setting} k="registrar.down_after" label=${t('Down after so many without an answer')} />
      <${Setting} k="registrar.up_after" label=${t('Up after so many answers')} />
      <${Setting} k="registrar.slow_start" label=${t('Back to the whole share within')} />
      <${Setting} k="registrar.retry_after" label=${t('Retry-After')} />
      <${Setting} k="registrar.flow_timer" label=${t('Clients keep their connection alive within')} />
      <${Setting} k="registrar.partner_users" label=${t('Users a partner may ask for in a day')} />
    <//>
  </div>`;
}

function Servers() {
  const [tab, setTab] = hooks.useState('servers');
  return html`<${Page}
    title=${t('UC servers')}
    lead=${t('The servers behind sipx, what share of the users they have, and who is registered where.')}
    help="uc-servers"
    command=${COMMAND}
    wide=${tab !== 'settings'}
  >
    <${WithPlugin} name="registrar" text=${t('With it sipx knows which UC server has which user, and spreads the load.')}>
      <${Tabs}
        label=${t('UC servers')}
        items=${[
          {id: 'servers', title: t('Servers')},
          {id: 'registrations', title: t('Registered users')},
          {id: 'settings', title: t('Settings')},
        ]}
        value=${tab}
        onChange=${setTab}
      />
      ${tab === 'servers' && html`<${List} />`}
      ${tab === 'registrations' && html`<${Registrations} />`}
      ${tab === 'settings' && html`<${Settings} />`}
    <//>
  <//>`;
}

registerPage({
  id: 'servers',
  title: 'UC servers',
  group: 'setup',
  order: 50,
  icon: 'server',
  Page: Servers,
  help: 'uc-servers',
  command: COMMAND,
});
