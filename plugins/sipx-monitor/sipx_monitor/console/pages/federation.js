// Open federation: the switch, what the original showed behind "Configure", the record in the DNS,
// and who is allowed.
import {
  Badge, Busy, Button, Card, Icon, KeyValue, Page, Setting, Switch, Tabs, call, can, draft, fmt,
  hooks, html, navigate, registerPage, t, useCall, useTopic,
} from 'sipx';
import {needs, useAction} from '../parts/settings/acting.js';
import {CertificateSetting} from '../parts/settings/certificate.js';
import {listOf, place} from '../parts/settings/keys.js';
import {ListenerSettings} from '../parts/settings/listener.js';
import {WithPlugin, usePlugin} from '../parts/settings/plugin.js';
import {RecordWizard} from '../parts/settings/record.js';
import {Findings, InterfaceState} from '../parts/settings/states.js';

const COMMAND = 'sipx federation status';
const ON = 'open-federation.enabled';

/** Why it is not known what is published, in the words of the server; "" where the DNS has answered. */
function silence(status) {
  return status.findings.find(({code}) => code === 'SIPX-D004')?.text ?? '';
}

/** Whether partners get through, in one line, and what is in the way. */
function Verdict({status, on}) {
  if (!on) {
    return html`<p class="remark off">
      <${Icon} name="off" /> ${t('Off: nobody is found by the DNS, and nobody is let in who has no route. Settings stay.')}
    </p>`;
  }
  if (!status) return html`<${Busy} text=${t('Asking the DNS…')} />`;
  const failures = status.findings.filter((finding) => finding.severity === 'failure');
  if (status.match && status.interface.state === 'listening' && !failures.length) {
    return html`<p class="remark ok">
      <${Icon} name="ok" />
      ${t('Partners get through: the record leads to {host}, and the certificate proves it.', {host: place(status.match.host, status.match.port)})}
    </p>`;
  }
  const why = status.certificate.error
    || (status.interface.state && status.interface.state !== 'listening'
      && (status.interface.reason || t('The interface does not listen.')))
    || failures[0]?.text || silence(status) || t('No record in the DNS leads partners here.');
  return html`<p class="remark bad"><${Icon} name="bad" /> ${t('Partners do not get through: {why}', {why})}</p>`;
}

/** Certificate, record found, interface, public address, NAT type: the fields of the original. */
function Configure({status, asking}) {
  const own = !draft.value('open-federation.interface');
  const {state} = useTopic('interfaces', {});
  const name = draft.value('open-federation.interface') || 'open-federation';
  const live = state?.interfaces.find((one) => one.name === name);
  return html`<div class="cards">
    <${Card} title=${t('Certificate')}>
      <${CertificateSetting}
        k="open-federation.certificate"
        label=${t('Certificate')}
        inherited=${draft.value('wan.certificate')}
      />
      <h3>${t('DNS-SRV record found')}</h3>
      <${Match} status=${status} asking=${asking} />
    <//>
    <${Card} title=${t('Interface')}>
      <${Setting} k="open-federation.interface" label=${t('Interface')} widget="interface" none=${t('one of its own')} />
      ${own
        ? html`<${ListenerSettings} k="open-federation" label=${t('Bind to IP address')} fixed />`
        : html`<p class="muted">
            ${t('IP address and port are those of {name}.', {name})}${' '}
            <${Button} kind="ghost" onClick=${() => navigate('interfaces', {name})}>${t('Properties')}<//>
          </p>`}
      <p class="status-line"><${InterfaceState} summary=${live} /></p>
      <h3>${t('Public address')}</h3>
      <${Setting} k="wan.use_public_address" label=${t('Use other public address')} />
      <${Public} status=${status} />
    <//>
  </div>`;
}

function Match({status, asking}) {
  if (!status) return asking ? html`<${Busy} text=${t('Asking the DNS…')} />` : html`<p class="muted">${t('It is known when open federation runs.')}</p>`;
  const {match, records} = status;
  if (match) {
    return html`<${KeyValue}
      rows=${[
        [t('Host'), match.host, {mono: true}],
        [t('IP address found'), match.addresses.join(', ') || '–', {mono: true}],
        [t('Port found'), String(match.port), {mono: true}],
        [t('Domain'), match.domain, {mono: true}],
        [t('Proven by'), match.profile || '–'],
      ]}
    />`;
  }
  return html`<p><${Badge} kind="bad" text=${t('None that fits')} /></p>
    <p class="muted">
      ${records.length
        ? t('{count} records are published; none leads to this certificate and this interface.', {count: records.length})
        : silence(status) || t('No record is published yet: see "Record to create".')}
    </p>`;
}

function Public({status}) {
  const {state} = useTopic('stun', {});
  const source = state?.sources.find((one) => one.public) ?? state?.sources[0];
  return html`<${KeyValue}
      rows=${[
        [t('NAT type'), source?.nat || t('not known')],
        [t('Public IP'), source?.public || t('not known'), {mono: Boolean(source?.public)}],
        [t('Stands in messages'), status?.public_address || t('its own address'), {mono: Boolean(status?.public_address)}],
      ]}
    />
    <${Button} kind="ghost" icon="nat" onClick=${() => navigate('nat', {})}>${t('Open NAT')}<//>`;
}

/** Who may: allow and deny, by patterns. */
function Lists() {
  const every = listOf('open-federation.allow').includes('*');
  return html`<div class="cards">
    <${Card} title=${t('Allowed')}>
      <p class="muted">
        ${every
          ? t('Everybody who can prove who it is, but those who are blocked.')
          : t('Only these, and those that are allowed partners.')}
      </p>
      <${Setting} k="open-federation.allow" label=${t('Domains that may be found by DNS')} placeholder="*" />
    <//>
    <${Card} title=${t('Blocked')}>
      <p class="muted">${t('Nothing from them and nothing to them, not even by a static route.')}</p>
      <${Setting} k="open-federation.deny" label=${t('Blocked domains')} placeholder="spam.example" />
    <//>
    <${Card} title=${t('Limits of a discovered partner')}>
      <${Setting} k="open-federation.messages_per_second" label=${t('Messages per second')} />
      <${Setting} k="open-federation.burst" label=${t('At once')} />
      <${Setting} k="open-federation.users_per_day" label=${t('Your users it may address in a day')} />
    <//>
    <${Card} title=${t('What proves a partner')}>
      <${Setting} k="open-federation.profiles" label=${t('Rules')} />
      <${Setting} k="open-federation.providers" label=${t('Hosting providers')} placeholder="online.lync.com" />
      <${Setting} k="open-federation.ports" label=${t('Ports that records may name')} />
      <${Setting} k="open-federation.suffix_depth" label=${t('Labels before the domain')} />
      <${Setting} k="open-federation.benotify" label=${t('Take BENOTIFY')} />
    <//>
  </div>`;
}

function Now({status}) {
  if (!status) return null;
  return html`<${Card} title=${t('Partners now')}>
    <p>
      ${t('{connected} connected, {known} known.', {connected: fmt.number(status.connected), known: fmt.number(status.known)})}${' '}
      <span class="mono">${status.partners.join(', ')}</span>
    </p>
    <${Button} onClick=${() => navigate('partners', {})}>${t('Open Partners')}<//>
  <//>`;
}

function Federation() {
  const [tab, setTab] = hooks.useState('configure');
  const plugin = usePlugin('open-federation');
  const runs = Boolean(plugin?.listed && plugin.plugin.enabled);
  const {data: status, error, loading, reload} = useCall(runs ? 'federation.status' : null, {}, {deps: [runs]});
  const [run, busy] = useAction();
  // Who has just published a record wants to see that one, and not the answer that is kept.
  const look = () => run('look', async () => {
    if (can('operator')) await call('dns.flush');
    await reload();
  });
  const on = draft.value(ON) !== false;
  const bad = (status?.findings ?? []).filter((finding) => finding.severity !== 'ok').length;
  return html`<${Page}
    title=${t('Federation')}
    lead=${t('Messages, presence and calls with any organisation that is found by the DNS and proven by its certificate.')}
    help="federation"
    command=${COMMAND}
    actions=${runs &&
    html`<${Button} icon="reload" busy=${loading || busy === 'look'} onClick=${look}>${t('Look again')}<//>`}
  >
    <${WithPlugin} name="open-federation" text=${t('With it partners are found by a record in the DNS, and proven by certificate.')}>
      <${Card}>
        <${Switch}
          checked=${on}
          onChange=${(wanted) => draft.set(ON, wanted)}
          label=${t('Use open federation')}
          ...${needs('admin')}
        />
        ${error && html`<p class="problem" role="alert">${error.message}</p>`}
        <${Verdict} status=${status} on=${on} />
      <//>
      <${Tabs}
        label=${t('Federation')}
        items=${[
          {id: 'configure', title: t('Configure')},
          {id: 'record', title: t('Record to create')},
          {id: 'lists', title: t('Allow and deny')},
          {id: 'findings', title: t('Findings'), count: bad || undefined},
        ]}
        value=${tab}
        onChange=${setTab}
      />
      <div class="dependent">
        ${tab === 'configure' && html`<${Configure} status=${status} asking=${loading} /><${Now} status=${status} />`}
        ${tab === 'record' && html`<${RecordWizard} />`}
        ${tab === 'lists' && html`<${Lists} />`}
        ${tab === 'findings' &&
        html`<${Card}>
          ${status?.findings.length
            ? html`<${Findings} findings=${status.findings} />`
            : html`<p class="muted">${t('Nothing to complain about.')}</p>`}
        <//>`}
      </div>
    <//>
  <//>`;
}

registerPage({
  id: 'federation', title: 'Federation', group: 'setup', order: 60, icon: 'federation',
  Page: Federation, help: 'federation', command: COMMAND,
});
