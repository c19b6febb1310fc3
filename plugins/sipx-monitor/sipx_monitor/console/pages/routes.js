// Static routes: the master switch, the table with Activate and Trustworthy in place, Add, Remove,
// Properties, and what would become of a URI.
import {
  Badge, Button, Card, Icon, Page, Switch, Table, Tabs, draft, hooks, html, keys, registerPage,
  route as address, t, useTopic,
} from 'sipx';
import {needs} from '../parts/settings/acting.js';
import {Explain} from '../parts/settings/explain.js';
import {table} from '../parts/settings/keys.js';
import {WithPlugin} from '../parts/settings/plugin.js';
import {removeTable} from '../parts/settings/removing.js';
import {AddRoute, RouteProperties} from '../parts/settings/route.js';
import {NotThere, protocolText, secured} from '../parts/settings/states.js';

const COMMAND = 'sipx routes list';
const ON = 'static-routes.enabled';
const PREFIX = 'static-routes.route';

/** The routes of the draft with what is known of each, then those that the draft removes. */
function rowsOf(live) {
  const known = new Map(live.map((one) => [one.domain, one]));
  const mine = draft.tables(PREFIX);
  const rows = mine.map((domain) => rowOf(domain, known.get(domain)));
  for (const one of live) {
    const key = table(PREFIX, one.domain);
    if (!mine.includes(one.domain) && draft.isRemoved(key)) {
      rows.push({domain: one.domain, key, live: one, removed: true, values: one});
    }
  }
  return rows;
}

function rowOf(domain, live) {
  const key = table(PREFIX, domain);
  return {domain, key, live, removed: false, values: draft.value(key) ?? {}, problems: draft.problems(key, {inside: true})};
}

function portOf({values}) {
  return values.port ?? (secured(values.protocol) ? 5061 : 5060);
}

function serversOf({values}) {
  return [values.server ?? []].flat().join(', ');
}

function Trusted({row}) {
  const name = t('Trustworthy: {domain}', {domain: row.domain});
  if (row.values.protocol === 'mtls') {
    return html`<${Switch} checked disabled label=${name} hideLabel title=${t('Always: over MTLS its certificate proves it.')} />`;
  }
  return html`<${Switch}
    checked=${row.values.trusted === true}
    onChange=${(on) => draft.set(`${row.key}.trusted`, on)}
    label=${name}
    hideLabel
    ...${needs('admin')}
  />`;
}

function State({row}) {
  if (row.removed) return html`<${Badge} kind="warn" text=${t('Removed in the draft')} />`;
  if (row.problems?.length) {
    return html`<div class="state-cell">
      <${Badge} kind="bad" text=${t('Not valid')} /><span class="reason">${row.problems[0]}</span>
    </div>`;
  }
  if (!row.live) return html`<${NotThere} k=${row.key} />`;
  if (row.live.trouble) {
    return html`<div class="state-cell">
      <${Badge} kind="warn" text=${t('Trouble')} /><span class="reason">${row.live.trouble}</span>
    </div>`;
  }
  if (draft.isChanged(row.key)) return html`<${Badge} kind="info" text=${t('changed')} />`;
  if (!row.live.enabled || draft.value(ON) === false) return html`<${Badge} kind="off" text=${t('Off')} />`;
  return html`<${Badge} kind="ok" text=${t('In use')} />`;
}

function columns({open, remove}) {
  return [
    {
      id: 'enabled', title: t('Active'), width: '4.5rem',
      render: (row) => html`<${Switch}
        checked=${row.values.enabled !== false}
        disabled=${row.removed}
        onChange=${(on) => draft.set(`${row.key}.enabled`, on)}
        label=${t('Activate {name}', {name: row.domain})}
        hideLabel
        ...${row.removed ? {} : needs('admin')}
      />`,
    },
    {id: 'trusted', hide: 'narrow', title: t('Trustworthy'), width: '6rem', render: (row) => html`<${Trusted} row=${row} />`},
    {
      id: 'domain', title: t('Domain'), mono: true, sort: (row) => row.domain,
      render: (row) => html`<span class=${row.removed ? 'domain removed' : 'domain'} title=${row.domain}>${row.domain}</span>`,
    },
    {
      id: 'server', hide: 'narrow', title: t('Access server'), mono: true, sort: serversOf,
      render: (row) => html`<span class="domain host" title=${row.live?.addresses?.join(', ')}>${serversOf(row)}</span>`,
    },
    {id: 'port', hide: 'narrow', title: t('Port'), mono: true, align: 'right', sort: portOf, render: portOf},
    {
      id: 'protocol', hide: 'narrow', title: t('Protocol'), sort: (row) => row.values.protocol ?? 'udp',
      render: (row) => html`<span class="protocol">
        ${secured(row.values.protocol) && html`<${Icon} name="lock" />`} ${protocolText(row.values.protocol ?? 'udp')}
      </span>`,
    },
    {
      id: 'bind', hide: 'narrow', title: t('Bound to'), mono: true, sort: (row) => row.values.bind ?? '',
      render: (row) => row.values.bind || html`<span class="muted">–</span>`,
    },
    {id: 'state', title: t('Status'), sort: (row) => row.live?.trouble ?? '', render: (row) => html`<${State} row=${row} />`},
    {
      id: 'actions', hide: 'narrow', title: t('Actions'), hideTitle: true, align: 'right',
      render: (row) => html`<span class="row-actions">
        ${row.removed
          ? html`<${Button} kind="ghost" small icon="undo" onClick=${() => draft.revert(row.key)}>${t('Undo')}<//>`
          : html`<${Button} kind="ghost" small onClick=${() => open(row)}>${t('Properties')}<//>
              <${Button}
                kind="ghost"
                small
                icon="trash"
                onClick=${() => remove(row)}
                aria-label=${t('Remove {name}', {name: row.domain})}
                ...${{title: t('Remove {name}', {name: row.domain}), ...needs('admin')}}
              />`}
      </span>`,
    },
  ];
}

function List() {
  const {state} = useTopic('routes', {});
  const [open, setOpen] = hooks.useState('');
  const [adding, setAdding] = hooks.useState(false);
  const rows = rowsOf(state?.routes ?? []);
  const on = draft.value(ON) !== false;
  const wanted = address.value.params?.domain;
  const mayAdd = !needs('admin').disabled;
  hooks.useEffect(() => {
    if (wanted) setOpen(wanted);
  }, [wanted]);
  hooks.useLayoutEffect(
    () => (mayAdd ? keys.bind('n', () => setAdding(true), {page: 'routes', label: t('Add')}) : undefined),
    [mayAdd],
  );
  const remove = (row) => removeTable(row.key, t('the route {domain}', {domain: row.domain}));
  const opened = rows.find((row) => row.domain === open && !row.removed);
  const active = rows.filter((row) => !row.removed && row.values.enabled !== false).length;
  return html`
    <${Card}>
      <div class="switch-line">
        <${Switch}
          checked=${on}
          onChange=${(next) => draft.set(ON, next)}
          label=${t('Use static routes')}
          ...${needs('admin')}
        />
        <span class="muted" role="status">
          ${on
            ? t('{active} of {total} routes are active.', {active, total: rows.filter((row) => !row.removed).length})
            : t('All routes are off, and none is lost.')}
        </span>
        <span class="spacer"></span>
        <${Button} kind="primary" icon="add" onClick=${() => setAdding(true)} ...${needs('admin')}>${t('Add')}<//>
      </div>
    <//>
    <${Card} flush class=${on ? 'dense' : 'dense greyed'}>
      <${Table}
        label=${t('Static routes')}
        columns=${columns({open: (row) => setOpen(row.domain), remove})}
        rows=${rows}
        keyOf=${(row) => row.domain}
        onOpen=${(row) => !row.removed && setOpen(row.domain)}
        filterable
        filter=${address.value.params?.filter}
        empty=${{
          level: 2,
          title: t('No static routes'),
          text: t('A route says where the requests for a domain go, and whose requests its server may send.'),
          action: html`<${Button} icon="add" onClick=${() => setAdding(true)} ...${needs('admin')}>${t('Add the first')}<//>`,
        }}
      />
    <//>
    ${adding && html`<${AddRoute} onClose=${() => setAdding(false)} />`}
    ${opened && html`<${RouteProperties} row=${opened} remove=${remove} onClose=${() => setOpen('')} />`}
  `;
}

function Routes() {
  const [tab, setTab] = hooks.useState(address.value.params?.uri ? 'explain' : 'routes');
  return html`<${Page}
    title=${t('Static routes')}
    lead=${t('Partner domains that you have written down, and where their servers are.')}
    help="trust"
    command=${tab === 'explain' ? 'sipx routes explain sip:user@partner.example' : COMMAND}
    wide
  >
    <${WithPlugin} name="static-routes" text=${t('With it requests for a domain go to a server that you name.')}>
      <${Tabs}
        label=${t('Static routes')}
        items=${[
          {id: 'routes', title: t('Routes')},
          {id: 'explain', title: t('Explain a URI')},
        ]}
        value=${tab}
        onChange=${setTab}
      />
      ${tab === 'routes' ? html`<${List} />` : html`<${Explain} initial=${address.value.params?.uri ?? ''} />`}
    <//>
  <//>`;
}

registerPage({
  id: 'routes', title: 'Routes', group: 'setup', order: 80, icon: 'route', Page: Routes,
  help: 'trust', command: COMMAND,
});
