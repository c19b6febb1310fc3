// Network interfaces: where SIP is listened for. Activate, Add, Remove, Properties.
import {
  Badge, Button, Card, Dialog, Icon, Page, Setting, Table, Tabs, draft, fmt, hooks, html,
  keys, navigate, registerPage, route, t, useCall, useTopic,
} from 'sipx';
import {needs} from '../parts/settings/acting.js';
import {OpenChoice, useAddresses} from '../parts/settings/address.js';
import {AddDialog, filled, numberOf} from '../parts/settings/adding.js';
import {place, table} from '../parts/settings/keys.js';
import {ListenerSettings} from '../parts/settings/listener.js';
import {removeTable} from '../parts/settings/removing.js';
import {activeColumn, tableRows} from '../parts/settings/rows.js';
import {InterfaceState, protocolOptions, protocolText, roleOptions, secured} from '../parts/settings/states.js';

const COMMAND = 'sipx interfaces list';
const PAGE_OF = {'open-federation': 'federation', lan: 'lan'};

/** What a key of a row is: drafted, or what runs where the interface is a plugin's. */
function valueOf(row, key, running) {
  return row.own ? draft.value(`${row.key}.${key}`) : running;
}

function columnsOf({properties, remove}) {
  return [
    activeColumn(),
    {
      id: 'name', title: t('Name'), sort: (row) => row.name,
      render: (row) => html`<span class=${row.removed ? 'removed' : ''}>${row.name}</span>${' '}
        ${draft.isChanged(row.key) && html`<${Badge} kind="info" text=${t('changed')} />`}`,
    },
    {
      id: 'bind', hide: 'narrow', title: t('IP address'), mono: true, sort: (row) => valueOf(row, 'bind', row.live?.bind),
      render: (row) => {
        const bind = valueOf(row, 'bind', row.live?.bind);
        return bind === '*' ? t('all (*)') : bind;
      },
    },
    {
      id: 'port', title: t('Port'), mono: true, align: 'right',
      sort: (row) => Number(valueOf(row, 'port', row.live?.configured_port)),
      render: (row) => {
        const port = valueOf(row, 'port', row.live?.configured_port);
        return port === 0 ? `0 (${row.live?.port ?? '–'})` : port;
      },
    },
    {
      id: 'protocol', hide: 'narrow', title: t('Protocol'), sort: (row) => valueOf(row, 'protocol', row.live?.protocol),
      render: (row) => {
        const protocol = valueOf(row, 'protocol', row.live?.protocol);
        return html`<span class="protocol">
          ${secured(protocol) && html`<${Icon} name="lock" />`} ${protocolText(protocol)}
        </span>`;
      },
    },
    {
      id: 'role', hide: 'narrow', title: t('Side'), sort: (row) => valueOf(row, 'role', row.live?.role),
      render: (row) => (valueOf(row, 'role', row.live?.role) === 'lan' ? t('LAN') : t('WAN')),
    },
    {
      id: 'state', title: t('Status'), sort: (row) => row.live?.state ?? '',
      render: (row) =>
        row.removed
          ? html`<${Badge} kind="warn" text=${t('Removed in the draft')} />`
          : html`<${InterfaceState} summary=${row.live} k=${row.key} />`,
    },
    {
      id: 'flows', hide: 'narrow', title: t('Connections'), align: 'right', sort: (row) => row.live?.flows ?? 0,
      render: (row) => (row.live ? fmt.number(row.live.flows) : '–'),
    },
    {
      id: 'advertised', hide: 'narrow', title: t('Advertised'), mono: true,
      render: (row) => row.live?.advertised || html`<span class="muted">–</span>`,
    },
    {
      id: 'actions', hide: 'narrow', title: t('Actions'), hideTitle: true, align: 'right',
      render: (row) => html`<span class="row-actions">
        ${row.removed
          ? html`<${Button} kind="ghost" small icon="undo" onClick=${() => draft.revert(row.key)}>
              ${t('Undo')}
            <//>`
          : row.own
            ? html`<${Button} kind="ghost" small onClick=${() => properties(row)}>${t('Properties')}<//>
                <${Button}
                  kind="ghost"
                  small
                  icon="trash"
                  onClick=${() => remove(row)}
                  aria-label=${t('Remove {name}', {name: row.name})}
                  ...${{title: t('Remove {name}', {name: row.name}), ...needs('admin')}}
                />`
            : html`<${Button} kind="ghost" small onClick=${() => navigate(PAGE_OF[row.name] ?? 'plugins', {})}>
                ${t('Of a plugin')}
              <//>`}
      </span>`,
    },
  ];
}

/** The connections of one listener, as they are now. */
function Connections({name}) {
  const {data, error} = useCall('flows.list', {interface: name, limit: 200}, {every: 2, deps: [name]});
  if (error) return html`<p class="problem">${error.message}</p>`;
  return html`<${Table}
    columns=${[
      {id: 'id', title: '#', mono: true, align: 'right', render: (flow) => flow.id},
      {
        id: 'peer', title: t('Other end'), mono: true,
        render: (flow) => place(flow.address, flow.port),
      },
      {id: 'who', title: t('Who'), render: (flow) => flow.peer || '–'},
      {
        id: 'way', title: t('Opened by'),
        render: (flow) => (flow.outbound ? t('sipx') : t('the other end')),
      },
      {id: 'age', title: t('For'), align: 'right', render: (flow) => fmt.duration(flow.age)},
      {id: 'in', title: t('In'), align: 'right', render: (flow) => fmt.number(flow.messages_in)},
      {id: 'out', title: t('Out'), align: 'right', render: (flow) => fmt.number(flow.messages_out)},
    ]}
    rows=${data?.flows ?? []}
    keyOf=${(flow) => flow.id}
    empty=${{title: t('No connections'), text: t('Nobody is connected at this interface now.')}}
  />`;
}

function Properties({row, remove, onClose}) {
  const [tab, setTab] = hooks.useState('settings');
  const {key} = row;
  const actions = html`
    <${Button} kind="danger" icon="trash" onClick=${() => remove(row)} ...${needs('admin')}>${t('Remove')}<//>
    ${draft.isChanged(key) &&
    html`<${Button} kind="plain" icon="undo" onClick=${() => draft.revert(key)}>
      ${t('Revert this interface')}
    <//>`}
    <${Button} kind="primary" onClick=${onClose}>${t('Done')}<//>
  `;
  return html`<${Dialog}
    title=${t('Interface {name}', {name: row.name})}
    onClose=${onClose}
    actions=${actions}
    wide
  >
    <${Tabs}
      label=${row.name}
      items=${[
        {id: 'settings', title: t('Settings')},
        {id: 'connections', title: t('Connections'), count: row.live?.flows ?? 0},
      ]}
      value=${tab}
      onChange=${setTab}
    />
    ${tab === 'connections'
      ? html`<${Connections} name=${row.name} />`
      : html`<div class="settings">
          <p class="status-line"><${InterfaceState} summary=${row.live} k=${key} /></p>
          <${Setting} k=${`${key}.enabled`} label=${t('Activate')} />
          <${ListenerSettings} k=${key}>
            <${Setting} k=${`${key}.role`} label=${t('Side')} options=${roleOptions()} />
            <${OpenChoice}
              k=${`${key}.advertise`}
              label=${t('Advertised address')}
              options=${[
                [true, t('the public address, as WAN says')],
                [false, t('its own address')],
                ['auto', t('what STUN finds ("auto")')],
              ]}
            />
          <//>
          ${secured(draft.value(`${key}.protocol`)) &&
          html`<details>
            <summary>${t('More about TLS')}</summary>
            <${Setting} k=${`${key}.client_certificate`} label=${t('Certificate when it connects')} />
            <${Setting} k=${`${key}.eku_policy`} label=${t('Extended key usage of peers')} />
          </details>`}
        </div>`}
  <//>`;
}

function AddInterface({onClose, onAdded}) {
  const addresses = useAddresses();
  const certificates = draft.tables('certificate');
  const fields = (values) => [
    {
      name: 'name', label: t('Name'), autofocus: true, required: true,
      help: t('Logs and lists call it so: letters, digits, - _ and .'),
    },
    {
      name: 'bind', label: t('IP address'), options: addresses,
      help: t('One of this machine, or all of them.'),
    },
    {name: 'port', label: t('Port'), widget: 'number'},
    {
      name: 'protocol', label: t('Protocol'), options: protocolOptions(),
    },
    {
      name: 'role', label: t('Side'), options: roleOptions(),
    },
    ...(secured(values.protocol)
      ? [
          {
            name: 'certificate', label: t('Certificate'),
            options: [
              [
                '',
                draft.value('wan.certificate')
                  ? t('that of WAN ({name})', {name: draft.value('wan.certificate')})
                  : t('none'),
              ],
              ...certificates.map((name) => [name, name]),
            ],
          },
        ]
      : []),
  ];
  const build = ({name = '', ...values}) => {
    const wanted = name.trim();
    if (!wanted) return {problems: {name: [t('Give it a name.')]}};
    if (draft.tables('interface').includes(wanted)) {
      return {problems: {name: [t('There is an interface of this name.')]}};
    }
    if (!secured(values.protocol)) delete values.certificate;
    return {key: table('interface', wanted), values: filled({enabled: true, ...values, port: numberOf(values.port)})};
  };
  return html`<${AddDialog}
    title=${t('Add an interface')}
    fields=${fields}
    initial=${{name: '', bind: '*', port: 5061, protocol: 'mtls', role: 'wan', certificate: ''}}
    build=${build}
    onClose=${onClose}
    onAdded=${onAdded}
  />`;
}

function Interfaces() {
  const {state, error} = useTopic('interfaces', {});
  const [open, setOpen] = hooks.useState('');
  const [adding, setAdding] = hooks.useState(false);
  const rows = tableRows('interface', state?.interfaces ?? []);
  const wanted = route.value.params?.name;
  const mayAdd = !needs('admin').disabled;
  hooks.useEffect(() => {
    if (wanted) setOpen(wanted);
  }, [wanted]);
  hooks.useLayoutEffect(
    () => (mayAdd ? keys.bind('n', () => setAdding(true), {page: 'interfaces', label: t('Add')}) : undefined),
    [mayAdd],
  );
  const opened = rows.find((row) => row.name === open && row.own);
  const remove = (row) => removeTable(row.key, t('interface {name}', {name: row.name}),
    row.live?.flows
      ? t('{count} connections are open there; they close when the draft is applied.', {count: row.live.flows})
      : undefined);
  const down = rows.filter((row) => row.live?.state === 'failed').length;
  return html`<${Page}
    title=${t('Network interfaces')}
    lead=${t('Where sipx listens: one line for each address, port and protocol.')}
    help="operations"
    command=${COMMAND}
    wide
    actions=${html`<${Button} kind="primary" icon="add" onClick=${() => setAdding(true)} ...${needs('admin')}>
      ${t('Add')}
    <//>`}
  >
    ${error && html`<p class="problem" role="alert">${error.message}</p>`}
    ${down > 0 &&
    html`<p class="remark bad" role="status">
      <${Icon} name="warn" />${' '}
      ${down === 1
        ? t('One interface is down; the others work. It is tried again by itself.')
        : t('{count} interfaces are down; the others work. They are tried again by themselves.', {count: down})}
    </p>`}
    <${Card} flush class="dense">
      <${Table}
        label=${t('Network interfaces')}
        columns=${columnsOf({properties: (row) => setOpen(row.name), remove})}
        rows=${rows}
        keyOf=${(row) => row.name}
        onOpen=${(row) => row.own && setOpen(row.name)}
        filterable
        empty=${{
          level: 2,
          title: t('No interfaces yet'),
          text: t('Without one nobody can reach sipx. Add the address and port that partners connect to.'),
        }}
      />
    <//>
    ${adding &&
    html`<${AddInterface} onClose=${() => setAdding(false)} onAdded=${() => setAdding(false)} />`}
    ${opened && html`<${Properties} row=${opened} remove=${remove} onClose=${() => setOpen('')} />`}
  <//>`;
}

registerPage({
  id: 'interfaces',
  title: 'Interfaces',
  group: 'setup',
  order: 20,
  icon: 'plug',
  Page: Interfaces,
  help: 'operations',
  command: COMMAND,
});
