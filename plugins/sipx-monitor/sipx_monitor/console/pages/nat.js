// NAT and STUN: the kind of NAT in words and as a drawing, how it was measured, and by whom.
import {
  Badge, Busy, Button, Card, Icon, KeyValue, Page, Setting, Table, Tabs, call, draft, fmt, hooks,
  html, navigate, registerPage, t, toast, useTopic,
} from 'sipx';
import {needs, useAction, useElapsed} from '../parts/settings/acting.js';
import {listOf} from '../parts/settings/keys.js';
import {NatDrawing} from '../parts/settings/nat_drawing.js';
import {
  behaviourText, filteringMeaning, mappingMeaning, natWords,
} from '../parts/settings/nat_words.js';
import {WithPlugin} from '../parts/settings/plugin.js';

const COMMAND = 'sipx stun --nat';
const LONGEST = 60;

/** How an address of ours is called. */
function bindText(source) {
  if (source.bind === '*') return t('all IPv4 addresses');
  if (source.bind === '::') return t('all IPv6 addresses');
  return source.bind;
}

function Kind({source}) {
  const words = natWords(source.nat);
  const measured = Boolean(source.nat);
  return html`<div class="nat">
    <div>
      <h3 class="nat-name">${measured ? words.name : t('Not measured yet')}</h3>
      <p>${measured ? words.meaning : t('Detect now, or wait for the next run.')}</p>
      <${NatDrawing} source=${source} />
    </div>
    <${KeyValue}
      rows=${[
        [t('Public IP'), source.public || '–', {mono: true, copy: Boolean(source.public)}],
        source.candidate && [t('Found last, not confirmed'), source.candidate, {mono: true}],
        [t('Own address'), source.local || '–', {mono: true}],
        [t('In use since'), source.since ? fmt.time(source.since) : '–'],
        [t('Mapping'), html`${behaviourText(source.mapping)}<br /><span class="muted">${mappingMeaning(source.mapping)}</span>`],
        [t('Filtering'), html`${behaviourText(source.filtering)}<br /><span class="muted">${filteringMeaning(source.filtering)}</span>`],
        [t('Server asked'), source.server || '–', {mono: true}],
        [t('Last asked'), source.when ? fmt.ago(source.when) : t('never')],
      ]}
    />
    ${source.error && html`<p class="problem">${source.error}</p>`}
  </div>`;
}

function Detect({servers}) {
  const [run, busy] = useAction();
  const asking = busy === 'detect';
  const elapsed = useElapsed(asking);
  const detect = () =>
    run('detect', async () => {
      const state = await call('stun.detect', {});
      const found = [...new Set(state.sources.map((one) => one.public).filter(Boolean))];
      toast(found.length ? t('Found: {addresses}', {addresses: found.join(', ')}) : t('No STUN server answered.'), {
        kind: found.length ? 'ok' : 'bad',
      });
    });
  const allowed = needs('operator');
  const none = servers.length === 0;
  return html`<span class="in-line">
    ${asking && html`<span class="muted" role="status">${t('{seconds} s', {seconds: Math.floor(elapsed)})}</span>
      <progress max=${LONGEST} value=${Math.min(elapsed, LONGEST)} aria-label=${t('Detecting the public address')}></progress>`}
    <${Button}
      kind="primary"
      icon="search"
      busy=${asking}
      onClick=${detect}
      disabled=${none || allowed.disabled}
      title=${none ? t('No STUN server is named yet.') : allowed.title}
    >
      ${t('Detect now')}
    <//>
  </span>`;
}

function History({state}) {
  const rows = state.history ?? [];
  return html`<${Card} title=${t('Public addresses so far')} flush>
    <${Table}
      label=${`${t('Table')}: ${t('Public addresses so far')}`}
      columns=${[
        {id: 'time', title: t('Since'), sort: (one) => one.time, render: (one) => fmt.time(one.time)},
        {id: 'public', title: t('Public IP'), mono: true, sort: true, render: (one) => one.public},
        {id: 'bind', title: t('Of'), mono: true, render: (one) => bindText(one)},
        {id: 'server', title: t('Says'), mono: true, render: (one) => one.server || '–'},
      ]}
      rows=${[...rows].reverse()}
      keyOf=${(one) => `${one.time} ${one.bind}`}
      empty=${{title: t('No address has been found yet'), text: t('Each address that comes into use stands here, with the time.')}}
    />
  <//>`;
}

function Settings({state}) {
  const used = draft.value('wan.use_public_address');
  const auto = draft.value('wan.public_address') === 'auto';
  return html`<div class="cards">
    <${Card} title=${t('STUN servers')}>
      <${Setting} k="stun.servers" label=${t('Servers that are asked')} placeholder="stun.example.net" />
      <${Setting} k="stun.detect_nat_type" label=${t('Find out the NAT type')} />
      <${Setting} k="stun.interval" label=${t('Ask again every')} />
      <${Setting} k="stun.timeout" label=${t('Wait for an answer')} />
      <${Setting} k="stun.answer" label=${t('Answer STUN requests of others')} />
    <//>
    <${Card} title=${t('What it is used for')}>
      <${KeyValue}
        rows=${[
          [t('Use other public address'), used ? html`<${Badge} kind="ok" text=${t('On')} />` : html`<${Badge} kind="off" text=${t('Off')} />`],
          [t('Address in messages'), auto ? t('what STUN finds ("auto")') : draft.value('wan.public_address'), {mono: !auto}],
          [t('Runs'), t('{answered} answered, {silent} without an answer', {answered: fmt.number(state?.runs.answered ?? 0), silent: fmt.number(state?.runs.silent ?? 0)})],
          [t('Changes of the address'), fmt.number(state?.changes ?? 0)],
          [t('Requests of others'), fmt.number(state?.bindings.answered ?? 0)],
        ]}
      />
      <${Button} onClick=${() => navigate('wan', {})}>${t('Open WAN settings')}<//>
    <//>
  </div>`;
}

function Content() {
  const {state, error} = useTopic('stun', {});
  const [chosen, setChosen] = hooks.useState('');
  if (error) return html`<p class="problem" role="alert">${error.message}</p><${Settings} state=${null} />`;
  if (!state) return html`<${Busy} text=${t('Asking for what is known…')} />`;
  const source = state.sources.find((one) => one.bind === chosen) ?? state.sources[0];
  return html`
    ${state.records.map((text) => html`<p class="remark warn"><${Icon} name="warn" /> ${text}</p>`)}
    <${Card} title=${t('NAT type')} actions=${html`<${Detect} servers=${state.servers} />`}>
      ${state.sources.length > 1 &&
      html`<${Tabs}
        label=${t('Address asked from')}
        items=${state.sources.map((one) => ({id: one.bind, title: bindText(one)}))}
        value=${source.bind}
        onChange=${setChosen}
      />`}
      ${source
        ? html`<${Kind} source=${source} />`
        : html`<div class="nat-empty">
            <p>
              ${state.servers.length
                ? t('Nothing has been asked yet.')
                : listOf('stun.servers').length
                  ? t('The STUN server stands in the draft: save and apply it, then detect.')
                  : t('No STUN server is named, so nobody is asked. Any will do; your provider may have one.')}
            </p>
          </div>`}
    <//>
    <${Settings} state=${state} />
    <${History} state=${state} />
  `;
}

function Nat() {
  return html`<${Page}
    title=${t('NAT and STUN')}
    lead=${t('Which address the world sees, and what stands between it and this machine.')}
    help="nat"
    command=${COMMAND}
  >
    <${WithPlugin} name="stun" text=${t('With it STUN servers tell the public address and the type of NAT.')}>
      <${Content} />
    <//>
  <//>`;
}

registerPage({
  id: 'nat', title: 'NAT and STUN', group: 'setup', order: 70, icon: 'nat', Page: Nat, help: 'nat',
  command: COMMAND,
});
