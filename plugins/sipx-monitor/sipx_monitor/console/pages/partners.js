// Partners: everybody who is spoken with, why they are believed, what came and went.
import {
  Badge, Button, Card, Dialog, Form, Icon, KeyValue, Page, Table, Tabs, call, confirm, draft, fmt,
  hooks, html, navigate, registerPage, route as address, t, toast, useCall, useTopic,
} from 'sipx';
import {needs, useAction} from '../parts/settings/acting.js';
import {listOf, table} from '../parts/settings/keys.js';
import {PartnerCheck} from '../parts/settings/partner_check.js';

const COMMAND = 'sipx partners';
const OPEN = 'open-federation.partner';

/** What has passed by a static route, in the words of a discovered partner. */
function contactOf(count) {
  return count && {
    identity: count.identity, profile: count.profile, messages_in: count.requests_in,
    messages_out: count.requests_out,
    refused: count.refused, last_in: count.last_in, last_out: count.last_out,
    last: Math.max(count.last_in ?? 0, count.last_out ?? 0),
  };
}

/** Discovered partners, and those of static routes that are not our own domains. */
function rowsOf(partners, routes, counts) {
  const own = new Set(listOf('domains'));
  const rows = partners.map((one) => ({domain: one.domain, open: one, contact: one, route: null}));
  for (const route of routes) {
    if (own.has(route.domain)) continue;
    const there = rows.find((row) => row.domain === route.domain);
    if (there) there.route = route;
    else {
      const contact = contactOf(counts.find((one) => one.domain === route.domain));
      rows.push({domain: route.domain, open: null, contact, route});
    }
  }
  return rows;
}

function Kind({row}) {
  return row.route ? t('Static route') : t('Open federation');
}

/** In, out or both; from what has passed. */
function Direction({row}) {
  const {last_in: came, last_out: went} = row.contact ?? {};
  const text = came && went ? t('both ways') : came ? t('inwards') : went ? t('outwards') : t('none yet');
  const icon = came && went ? 'swap' : came ? 'arrowleft' : went ? 'arrowright' : 'off';
  return html`<span class="protocol" title=${text}><${Icon} name=${icon} title=${text} /></span>`;
}

/** What a partner may do here, and why it is believed. */
function verdictOf(row) {
  if (row.open?.standing === 'blocked') return {kind: 'bad', text: t('Blocked'), why: t('nothing from it, nothing to it')};
  if (row.route) {
    if (!row.route.enabled) return {kind: 'off', text: t('Off'), why: t('the route is not active')};
    return row.route.trusted
      ? {kind: 'ok', text: t('Trusted'), why: row.route.protocol === 'mtls' ? t('its certificate, by a route') : t('its address, by a route')}
      : {kind: 'info', text: t('Not trusted'), why: t('its requests need credentials')};
  }
  const {open} = row;
  const why = open.identity ? t('{name} proves it ({profile})', {name: open.identity, profile: open.profile}) : t('nothing has proven it yet');
  if (open.standing === 'allowed') return {kind: 'ok', text: t('Allowed'), why};
  if (open.standing === 'not in allow') return {kind: 'warn', text: t('Not in allow'), why};
  return {kind: 'info', text: t('Discovered'), why};
}

function Verdict({row}) {
  const verdict = verdictOf(row);
  return html`<span class="standing" title=${verdict.why}>
    <${Badge} kind=${verdict.kind} text=${verdict.text} /><span class="why">${verdict.why}</span>
  </span>`;
}

const troubleOf = (row) => row.open?.trouble || row.route?.trouble || '';
const number = (value) => (value === undefined || value === null ? '–' : fmt.number(value));

function columns(check) {
  return [
    {
      id: 'domain', title: t('Domain'), mono: true, sort: true,
      render: (row) => html`<span class="domain" title=${row.domain}>${row.domain}</span>`,
    },
    {id: 'kind', hide: 'narrow', title: t('Found by'), sort: (row) => (row.route ? 1 : 0), render: (row) => html`<${Kind} row=${row} />`},
    {id: 'way', hide: 'narrow', title: t('Direction'), render: (row) => html`<${Direction} row=${row} />`},
    {
      id: 'identity', hide: 'narrow', title: t('TLS identity'), mono: true,
      text: (row) => row.contact?.identity, render: (row) => row.contact?.identity || '–',
    },
    {id: 'verdict', title: t('Verdict'), sort: (row) => verdictOf(row).text, render: (row) => html`<${Verdict} row=${row} />`},
    {id: 'in', hide: 'narrow', title: t('In'), align: 'right', sort: (row) => row.contact?.messages_in, render: (row) => number(row.contact?.messages_in)},
    {id: 'out', hide: 'narrow', title: t('Out'), align: 'right', sort: (row) => row.contact?.messages_out, render: (row) => number(row.contact?.messages_out)},
    {id: 'refused', hide: 'narrow', title: t('Refused'), align: 'right', sort: (row) => row.contact?.refused, render: (row) => number(row.contact?.refused)},
    {
      id: 'last', hide: 'narrow', title: t('Last contact'), align: 'right', sort: (row) => row.contact?.last,
      render: (row) => (row.contact?.last ? fmt.ago(row.contact.last) : '–'),
    },
    {
      id: 'trouble', hide: 'narrow', title: t('Last error'), wrap: true, sort: troubleOf,
      render: (row) => (troubleOf(row) ? html`<span class="reason">${troubleOf(row)}</span>` : '–'),
    },
    {
      id: 'actions', hide: 'narrow', title: t('Actions'), hideTitle: true, align: 'right',
      render: (row) => html`<span class="row-actions">
        <${Button} kind="ghost" small onClick=${() => check(row)} ...${needs('operator')}>${t('Check')}<//>
      </span>`,
    },
  ];
}

/** Allow, block and forget: the first two are settings of the file. */
function Standing({row, onClose}) {
  const key = table(OPEN, row.domain);
  const [run, busy] = useAction();
  const there = draft.tables(OPEN).includes(row.domain);
  const put = (name, other) => {
    if (!there) draft.addTable(key, {[name]: true});
    else {
      draft.set(`${key}.${name}`, true);
      if (draft.value(`${key}.${other}`)) draft.set(`${key}.${other}`, false);
    }
    toast(t('{domain} is changed in the draft.', {domain: row.domain}), {kind: 'ok', undo: () => draft.revert(key)});
  };
  const clear = (name) => draft.set(`${key}.${name}`, false);
  const allowed = there && draft.value(`${key}.allowed`) === true;
  const blocked = there && draft.value(`${key}.blocked`) === true;
  const forget = async () => {
    const sure = await confirm({
      title: t('Forget {domain}?', {domain: row.domain}),
      text: t('What is known of it and its counters go. With the next contact it is in the list again.'),
      action: t('Forget'),
      danger: true,
    });
    if (!sure) return;
    await run('forget', async () => {
      const done = await call('federation.forget', {domain: row.domain});
      toast(done.text, {kind: 'ok'});
      onClose();
    });
  };
  return html`
    ${row.open && html`<${Button} icon="trash" busy=${busy === 'forget'} onClick=${forget} ...${needs('operator')}>${t('Forget')}<//>`}
    ${blocked
      ? html`<${Button} onClick=${() => clear('blocked')} ...${needs('admin')}>${t('Unblock')}<//>`
      : html`<${Button} onClick=${() => put('blocked', 'allowed')} ...${needs('admin')}>${t('Block')}<//>`}
    ${!row.route &&
    (allowed
      ? html`<${Button} onClick=${() => clear('allowed')} ...${needs('admin')}>${t('No longer allowed')}<//>`
      : html`<${Button} onClick=${() => put('allowed', 'blocked')} ...${needs('admin')}>${t('Allow')}<//>`)}
  `;
}

function Facts({row}) {
  const {open, route, contact} = row;
  const way = route && contact;
  const verdict = verdictOf(row);
  const rows = [
    [t('Verdict'), html`<${Badge} kind=${verdict.kind} text=${verdict.text} /> ${verdict.why}`],
    route && [t('Static route'), `${route.protocol} ${route.server.join(', ')} : ${route.port}`, {mono: true}],
    route?.addresses.length > 0 && [t('Addresses'), route.addresses.join(', '), {mono: true}],
    way && [t('TLS identity'), contact.identity ? `${contact.identity} (${contact.profile})` : '–', {mono: true}],
    way && [t('Last request of it'), contact.last_in ? fmt.ago(contact.last_in) : t('never')],
    way && [t('Last request to it'), contact.last_out ? fmt.ago(contact.last_out) : t('never')],
    way && [t('Requests in, out, refused'), `${fmt.number(contact.messages_in)}, ${fmt.number(contact.messages_out)}, ${fmt.number(contact.refused)}`],
    open && [t('TLS identity'), open.identity || '–', {mono: true}],
    open && [t('Certificate'), open.subject || '–', {mono: true}],
    open && [t('Issuer'), open.issuer || '–', {mono: true}],
    open && [t('Valid until'), open.certificate_until ? fmt.date(open.certificate_until) : '–'],
    open?.weakness && [t('Weakness'), open.weakness],
    open && [t('First contact'), fmt.time(open.first)],
    open && [t('Last request of it'), open.last_in ? fmt.ago(open.last_in) : t('never')],
    open && [t('Last answer of it'), open.last_out ? fmt.ago(open.last_out) : t('never')],
    open && [t('Requests let in, answered'), `${fmt.number(open.messages_in)}, ${fmt.number(open.messages_out)}`],
    open && [t('Refused, slowed, over its limits'), `${fmt.number(open.refused)}, ${fmt.number(open.slowed)}, ${fmt.number(open.limited)}`],
    open && [
      t('Limits'),
      open.messages_per_second
        ? t('{rate} per second, {burst} at once, {users} users a day', {
            rate: open.messages_per_second, burst: open.burst, users: open.users_per_day || t('any number of'),
          })
        : t('none'),
    ],
    open && [t('Connections'), open.flows.join(', ') || t('none'), {mono: true}],
    open && [t('Subscriptions'), fmt.number(open.subscriptions)],
    troubleOf(row) && [t('Last error'), troubleOf(row)],
  ];
  return html`<${KeyValue} rows=${rows} />`;
}

function Detail({row, begin, onClose}) {
  const [tab, setTab] = hooks.useState(begin ? 'check' : 'facts');
  const actions = html`
    ${row.route && html`<${Button} onClick=${() => navigate('routes', {domain: row.domain})}>${t('Its route')}<//>`}
    <${Button} onClick=${() => navigate('live', {filter: `domain:${row.domain}`})}>${t('Its messages')}<//>
    <${Standing} row=${row} onClose=${onClose} />
    <${Button} kind="primary" onClick=${onClose}>${t('Done')}<//>
  `;
  return html`<${Dialog} title=${row.domain} onClose=${onClose} actions=${actions} wide>
    <${Tabs}
      label=${row.domain}
      items=${[
        {id: 'facts', title: t('What is known')},
        {id: 'check', title: t('Check')},
      ]}
      value=${tab}
      onChange=${setTab}
    />
    ${tab === 'facts' ? html`<${Facts} row=${row} />` : html`<${PartnerCheck} domain=${row.domain} begin=${begin} />`}
  <//>`;
}

/** Check a domain that is not in the list yet. */
function Other({onCheck}) {
  const [values, setValues] = hooks.useState({domain: ''});
  const go = (event) => {
    event.preventDefault();
    const domain = values.domain?.trim();
    if (domain) onCheck({domain, open: null, route: null, other: true});
  };
  return html`<form class="in-line other" onSubmit=${go}>
    <${Form}
      fields=${[{name: 'domain', label: t('Any other domain'), mono: true, placeholder: 'partner.example'}]}
      value=${values}
      onChange=${setValues}
    />
    <${Button} type="submit" icon="search" ...${needs('operator')}>${t('Check')}<//>
  </form>`;
}

function Partners() {
  const discovered = useTopic('partners', {limit: 1000});
  const routes = useTopic('routes', {});
  const counted = useCall('routes.counts', {}, {every: 2});
  const [open, setOpen] = hooks.useState(null);
  const rows = rowsOf(discovered.state?.partners ?? [], routes.state?.routes ?? [], counted.data?.routes ?? []);
  const wanted = address.value.params?.domain;
  hooks.useEffect(() => {
    if (wanted) setOpen({domain: wanted, begin: true});
  }, [wanted]);
  const bare = (domain) => ({domain, open: null, route: null, other: true});
  const row = open && (rows.find((one) => one.domain === open.domain) ?? bare(open.domain));
  const close = () => {
    setOpen(null);
    if (wanted) navigate('partners', {}, {replace: true});
  };
  const total = discovered.state?.total ?? 0;
  return html`<${Page}
    title=${t('Partners')}
    lead=${t('Everybody your users speak with, and why each of them is believed.')}
    help="federation"
    command=${COMMAND}
    wide
  >
    <${Card} flush class="dense">
      <${Table}
        label=${t('Partners')}
        columns=${columns((one) => setOpen({domain: one.domain, begin: true}))}
        rows=${rows}
        keyOf=${(one) => one.domain}
        onOpen=${(one) => setOpen({domain: one.domain, begin: false})}
        filterable
        empty=${{
          level: 2,
          title: t('No partners yet'),
          text: t('A partner stands here once it has a route, or once a message has gone or come.'),
          action: html`<${Button} onClick=${() => navigate('federation', {})}>${t('Open Federation')}<//>`,
        }}
      />
      ${total > rows.length && html`<p class="muted table-note">${t('{shown} of {total} are shown.', {shown: fmt.number(rows.length), total: fmt.number(total)})}</p>`}
    <//>
    <${Card} title=${t('Check somebody else')}><${Other} onCheck=${(one) => setOpen({domain: one.domain, begin: true})} /><//>
    ${row &&
    (row.other
      ? html`<${Dialog} key=${row.domain} title=${row.domain} onClose=${close} wide
          actions=${html`<${Button} kind="primary" onClick=${close}>${t('Done')}<//>`}>
          <${PartnerCheck} domain=${row.domain} begin />
        <//>`
      : html`<${Detail} key=${row.domain} row=${row} begin=${open.begin} onClose=${close} />`)}
  <//>`;
}

registerPage({
  id: 'partners', title: 'Partners', group: 'watch', order: 50, icon: 'people', Page: Partners,
  help: 'federation', command: COMMAND,
});
