// WAN settings: the certificate, and the address that stands in messages to partners.
import {
  Busy, Button, Card, Icon, Page, Setting, Table, call, draft, hooks, html, navigate, registerPage,
  t, toast, useTopic,
} from 'sipx';
import {needs, useElapsed} from '../parts/settings/acting.js';
import {CertificateSetting} from '../parts/settings/certificate.js';
import {listOf} from '../parts/settings/keys.js';
import {usePlugin} from '../parts/settings/plugin.js';
import {InterfaceState, protocolText} from '../parts/settings/states.js';

const COMMAND = 'sipx config show wan';
const ADDRESS = 'wan.public_address';
const USED = 'wan.use_public_address';
const LONGEST = 60;

/** What a run has found: addresses, and whether they are this machine's own. */
function outcome(state) {
  const found = state.sources.filter((source) => source.public || source.candidate);
  const errors = state.sources.filter((source) => source.error);
  return {found, errors, first: found.find((source) => source.public) ?? found[0]};
}

/** "Detect IP": asks the STUN servers, and puts what they see into the draft. */
function Detect() {
  const plugin = usePlugin('stun');
  const servers = listOf('stun.servers');
  const running = useTopic('stun', {}).state;
  const [asking, setAsking] = hooks.useState(false);
  const [result, setResult] = hooks.useState(null);
  const elapsed = useElapsed(asking);

  const take = (address) => {
    if (draft.locked.value || draft.value(ADDRESS) === address) return;
    draft.set(ADDRESS, address);
    toast(t('{address} stands in the draft.', {address}), {
      kind: 'ok',
      undo: () => draft.revert(ADDRESS),
    });
  };
  const detect = async () => {
    setAsking(true);
    setResult(null);
    try {
      const state = await call('stun.detect', {});
      const told = outcome(state);
      setResult(told);
      if (told.first) take(told.first.public || told.first.candidate);
    } catch (error) {
      setResult({error: error.message});
    } finally {
      setAsking(false);
    }
  };

  const reason =
    plugin && !plugin.listed
      ? t('The plugin stun asks for the address, and is not in use.')
      : running && !running.servers.length
        ? t('No STUN server is named yet: name one below, save and apply.')
        : '';
  const allowed = needs('operator');
  return html`<div class="detect">
    <div class="in-line">
      <${Button}
        icon="search"
        busy=${asking}
        onClick=${detect}
        disabled=${Boolean(reason) || allowed.disabled}
        title=${reason || allowed.title}
      >
        ${t('Detect IP')}
      <//>
      <span class="muted" role="status">
        ${asking
          ? t('Asking {servers}: {seconds} s', {
              servers: (running?.servers ?? servers).join(', '),
              seconds: Math.floor(elapsed),
            })
          : reason || t('STUN servers tell which address the world sees.')}
      </span>
    </div>
    ${asking &&
    html`<progress
      max=${LONGEST}
      value=${Math.min(elapsed, LONGEST)}
      aria-label=${t('Detecting the public address')}
    ></progress>`}
    ${result && html`<${Outcome} result=${result} take=${take} />`}
    ${plugin?.listed &&
    (!servers.length || draft.isChanged('stun.servers')) &&
    html`<${Setting} k="stun.servers" label=${t('STUN servers')} />`}
  </div>`;
}

function Outcome({result, take}) {
  if (result.error) return html`<p class="problem" role="alert">${result.error}</p>`;
  if (!result.first) {
    const why = result.errors[0]?.error ?? t('No STUN server answered.');
    return html`<p class="problem" role="alert">${why}</p>`;
  }
  const {first} = result;
  const address = first.public || first.candidate;
  const own = first.local === address;
  return html`<div class="outcome" role="status">
    <p>
      <${Icon} name="check" />${' '}<strong class="mono">${address}</strong>${' '}
      ${t('says {server}', {server: first.server})}
    </p>
    ${own
      ? html`<p class="muted">
          ${t('It is the address of this machine: there is no NAT, and nothing has to be used in its place.')}
        </p>`
      : !draft.value(USED) &&
        html`<p class="muted">
          ${t('This machine is {local} behind NAT.', {local: first.local || '–'})}${' '}
          <${Button} kind="ghost" onClick=${() => draft.set(USED, true)} ...${needs('admin')}>
            ${t('Use the public address')}
          <//>
        </p>`}
    ${result.found.length > 1 &&
    html`<p class="in-line">
      ${result.found.map(
        (source) => html`<${Button}
          onClick=${() => take(source.public || source.candidate)}
          ...${needs('admin')}
        >
          ${source.bind}: ${source.public || source.candidate}
        <//>`,
      )}
    </p>`}
    <p class="muted">
      ${t('If your address changes now and then, keep it "auto": sipx asks again and again.')}${' '}
      <${Button}
        kind="ghost"
        onClick=${() => draft.set(ADDRESS, 'auto')}
        disabled=${draft.value(ADDRESS) === 'auto' || needs('admin').disabled}
      >
        ${t('Write "auto"')}
      <//>
    </p>
  </div>`;
}

/** What stands in messages now, interface by interface. */
function Advertised() {
  const {state, error} = useTopic('interfaces', {});
  const rows = (state?.interfaces ?? []).filter((one) => one.role === 'wan');
  return html`<${Card}
    title=${t('What partners read now')}
    flush
    actions=${html`<${Button} kind="ghost" onClick=${() => navigate('interfaces', {})}>
      ${t('Open Interfaces')}
    <//>`}
  >
    ${error && html`<p class="problem">${error.message}</p>`}
    <${Table}
      label=${`${t('Table')}: ${t('What partners read now')}`}
      columns=${[
        {id: 'name', title: t('Interface'), sort: true, render: (one) => one.name},
        {id: 'protocol', hide: 'narrow', title: t('Protocol'), render: (one) => protocolText(one.protocol)},
        {
          id: 'bound', title: t('Listens on'), mono: true,
          render: (one) => `${one.address ?? one.bind} : ${one.port ?? one.configured_port}`,
        },
        {
          id: 'advertised', title: t('Stands in messages'), mono: true,
          render: (one) =>
            one.advertised || (one.advertises ? t('not known yet') : t('its own address')),
        },
        {id: 'state', hide: 'narrow', title: t('Status'), render: (one) => html`<${InterfaceState} summary=${one} />`},
      ]}
      rows=${rows}
      keyOf=${(one) => one.name}
      empty=${{
        title: t('No interface towards partners'),
        text: t('Add one with the role "wan": that is where partners connect to.'),
      }}
    />
  <//>`;
}

function Wan() {
  const used = Boolean(draft.value(USED));
  return html`<${Page}
    title=${t('WAN settings')}
    lead=${t('The certificate that partners are shown, and the address that stands in messages to them.')}
    help="nat"
    command=${COMMAND}
  >
    <div class="cards">
      <${Card} title=${t('Certificate')}>
        <${CertificateSetting} k="wan.certificate" label=${t('Certificate')} />
      <//>
      <${Card} title=${t('Public address')}>
        <${Setting} k=${USED} label=${t('Use other public address')} />
        <div class=${used ? 'dependent' : 'dependent off'}>
          <${Setting} k=${ADDRESS} label=${t('Public IP address or name')} disabled=${!used} />
          <${Setting} k="wan.public_port" label=${t('Public port')} disabled=${!used} />
        </div>
        <${Detect} />
        ${!draft.schemaReady.value && html`<${Busy} text=${t('Reading the settings…')} />`}
      <//>
    </div>
    <${Advertised} />
  <//>`;
}

registerPage({
  id: 'wan',
  title: 'WAN',
  group: 'setup',
  order: 10,
  icon: 'globe',
  Page: Wan,
  help: 'nat',
  command: COMMAND,
});
