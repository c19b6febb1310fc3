// The SRV record to create, step by step: which domain, host and port, how to publish it, and
// whether it is there.
import {
  Badge, Busy, Button, Card, Copy, Form, Icon, Select, call, hooks, html, t, useCall,
} from 'sipx';
import {useAction} from './acting.js';
import {listOf} from './keys.js';
import {Findings} from './states.js';

/** The lines of a zone file: the record, and what its host has to say. */
function zoneLines(record) {
  const name = `${record.service}.`;
  const lines = [`${name} ${record.ttl} IN SRV ${record.priority} ${record.weight} ${record.port} ${record.host}.`];
  for (const address of record.addresses) {
    lines.push(`${record.host}. ${record.ttl} IN ${address.includes(':') ? 'AAAA' : 'A'} ${address}`);
  }
  return lines.join('\n');
}

function windowsLines(record) {
  const name = record.service.slice(0, -record.domain.length - 1);
  return [
    `Add-DnsServerResourceRecord -Srv -ZoneName "${record.domain}" \``,
    `  -Name "${name}" -DomainName "${record.host}." \``,
    `  -Priority ${record.priority} -Weight ${record.weight} -Port ${record.port} -TimeToLive 01:00:00`,
  ].join('\n');
}

function formLines(record) {
  return [
    [t('Type'), 'SRV'],
    [t('Service'), '_sipfederationtls'],
    [t('Protocol'), '_tcp'],
    [t('Domain'), record.domain],
    [t('Priority'), record.priority],
    [t('Weight'), record.weight],
    [t('Port'), record.port],
    [t('Target'), `${record.host}.`],
    ['TTL', record.ttl],
  ].map(([label, value]) => `${label}: ${value}`).join('\n');
}

const FORMS = {zone: zoneLines, windows: windowsLines, form: formLines};

function Published({domain}) {
  const [run, busy] = useAction();
  const [found, setFound] = hooks.useState(null);
  const look = () =>
    run('check', async () => {
      const {domains} = await call('dns.check', {domain});
      setFound(domains[0]);
    });
  return html`<div>
    <${Button} icon="search" busy=${busy === 'check'} onClick=${look}>${t('Check what is published')}<//>
    ${busy === 'check' && html`<${Busy} text=${t('Asking the DNS…')} />`}
    ${found &&
    html`<div role="status">
      <p><code>${found.service}</code>: ${found.answer}</p>
      ${found.findings.length
        ? html`<${Findings} findings=${found.findings} />`
        : found.records.length > 0 &&
          html`<p><${Icon} name="ok" /> ${t('The record is as it should be.')}</p>`}
    </div>`}
  </div>`;
}

function Step({number, title, done, children}) {
  return html`<li class="step">
    <span class=${done ? 'step-mark done' : 'step-mark'} aria-hidden="true">
      ${done ? html`<${Icon} name="check" />` : number}
    </span>
    <div class="step-body"><h3>${title}</h3>${children}</div>
  </li>`;
}

export function RecordWizard() {
  const domains = listOf('domains');
  const [domain, setDomain] = hooks.useState(domains[0] ?? '');
  const [values, setValues] = hooks.useState({host: '', port: ''});
  const [asked, setAsked] = hooks.useState({host: '', port: 0});
  const [kind, setKind] = hooks.useState('zone');
  const wanted = domain || domains[0] || '';
  const {data, error, loading} = useCall(wanted ? 'dns.record' : null, {domain: wanted, ...asked}, {
    deps: [wanted, asked.host, asked.port],
  });
  hooks.useEffect(() => {
    const timer = setTimeout(() => setAsked({host: values.host.trim(), port: Number(values.port) || 0}), 400);
    return () => clearTimeout(timer);
  }, [values.host, values.port]);
  const record = data?.records.find((one) => one.domain === wanted) ?? data?.records[0];
  const whole = record && record.host && record.port;
  const text = whole ? FORMS[kind](record) : '';
  return html`<${Card} title=${t('The record that partners find you by')}>
    ${error && html`<p class="problem" role="alert">${error.message}</p>`}
    <ol class="steps">
      <${Step} number="1" title=${t('Which domain')} done=${Boolean(wanted)}>
        <${Select}
          label=${t('Domain')}
          value=${wanted}
          onChange=${setDomain}
          options=${domains.map((one) => [one, one])}
        />
        <p class="muted">${t('Each of your domains needs a record of its own.')}</p>
      <//>
      <${Step} number="2" title=${t('Where it leads')} done=${Boolean(whole && record.proven)}>
        <${Form}
          fields=${[
            {
              name: 'host', label: t('Host'), mono: true, placeholder: record?.host || `sip.${wanted}`,
              help: t('Empty: what the certificate names.'),
            },
            {
              name: 'port', label: t('Port'), widget: 'number', placeholder: String(record?.port || 5061),
              help: t('Empty: where the interface listens.'),
            },
          ]}
          value=${values}
          onChange=${(next) => setValues({host: '', port: '', ...next})}
        />
        ${record &&
        html`<p>
          ${record.proven
            ? html`<${Badge} kind="ok" text=${t('Proven by the certificate {name}', {name: record.certificate})} />`
            : html`<${Badge} kind="warn" text=${t('No certificate proves it')} />`}
          ${record.interface && html` <span class="muted">${t('{name} listens there', {name: record.interface})}</span>`}
        </p>`}
        ${record?.missing.map(
          (missing) => html`<p class="problem">${missing.text}${' '}<span class="muted">${missing.remedy}</span></p>`,
        )}
        ${record?.notes.map((note) => html`<p class="muted">${note}</p>`)}
      <//>
      <${Step} number="3" title=${t('Publish it')}>
        ${loading && !record && html`<${Busy} />`}
        ${whole
          ? html`<${Select}
                label=${t('Written for')}
                value=${kind}
                onChange=${setKind}
                options=${[
                  ['zone', t('Zone file (BIND, NSD, PowerDNS)')],
                  ['windows', t('Windows Server (PowerShell)')],
                  ['form', t("The form of a provider")],
                ]}
              />
              <div class="copied"><pre class="mono" tabindex="0">${text}</pre><${Copy} text=${text} /></div>`
          : html`<p class="muted">${t('Host and port have to be known first.')}</p>`}
      <//>
      <${Step} number="4" title=${t('See whether it is there')}>
        <${Published} domain=${wanted} key=${wanted} />
      <//>
    </ol>
  <//>`;
}
