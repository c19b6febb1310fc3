// Certificates: whose they are, how long they last, where they are used; new ones.
import {
  Badge, Button, Card, Dialog, Icon, KeyValue, Page, Setting, Table, Tabs, confirm,
  draft, fmt, hooks, html, registerPage, route, t, toast, useCall,
} from 'sipx';
import {needs, useAction} from '../parts/settings/acting.js';
import {
  ImportCertificate, RequestCertificate, RequestMade, SelfSigned, ask,
} from '../parts/settings/certificate_actions.js';
import {CertificateUses} from '../parts/settings/certificate_uses.js';
import {Validity, dateOf, namesOf, useCertificates} from '../parts/settings/certificate.js';
import {listOf, seconds, table} from '../parts/settings/keys.js';
import {removeTable} from '../parts/settings/removing.js';
import {Findings} from '../parts/settings/states.js';

const COMMAND = 'sipx cert list';

/** Those of the draft with what runs, the ones that end first in front. */
function rowsOf(named) {
  const names = new Set([...draft.tables('certificate'), ...named.keys()]);
  const rows = [...names].map((name) => ({
    name, key: table('certificate', name), live: named.get(name),
  }));
  for (const row of rows) row.removed = draft.isRemoved(row.key);
  const days = (row) => (row.live?.error ? -1e6 : row.live?.days_left ?? 1e6);
  return rows.sort((a, b) => days(a) - days(b) || a.name.localeCompare(b.name));
}

const columns = () => [
  {
    id: 'name', title: t('Name'), sort: (row) => row.name,
    render: (row) => html`<span class=${row.removed ? 'removed' : ''}>${row.name}</span>`,
  },
  {
    id: 'subject', hide: 'narrow', title: t('Subject'), mono: true, sort: (row) => row.live?.subject ?? '',
    render: (row) => row.live?.subject || '–',
  },
  {
    id: 'until', title: t('Valid until'), sort: (row) => seconds(row.live?.not_after) ?? 0,
    render: (row) => dateOf(row.live?.not_after),
  },
  {
    id: 'left', title: t('Status'),
    render: (row) =>
      row.removed
        ? html`<${Badge} kind="warn" text=${t('Removed in the draft')} />`
        : html`<div class="state-cell">
            <${Validity} certificate=${row.live} />
            ${row.live?.error && html`<span class="reason">${row.live.error}</span>`}
          </div>`,
  },
  {
    id: 'used', hide: 'narrow', title: t('Used by'),
    render: (row) =>
      row.live?.used_by?.length
        ? row.live.used_by.join(', ')
        : html`<span class="muted">${t('nothing')}</span>`,
  },
];

function Chain({chain}) {
  if (!chain?.length) return html`<p class="muted">${t('There is no chain.')}</p>`;
  return html`<ol class="chain">
    ${chain.map(
      (link, depth) => html`<li>
        <${Icon} name=${link.root ? 'shield' : depth ? 'certificate' : 'server'} />
        <div>
          <strong class="mono">${link.subject}</strong>
          <p class="muted">
            ${link.root
              ? t('A root: it vouches for itself.')
              : t('Issued by {issuer}', {issuer: link.issuer})}
          </p>
          <p class="muted">
            ${t('Valid from {from} until {until}', {from: dateOf(link.not_before), until: dateOf(link.not_after)})}
          </p>
        </div>
      </li>`,
    )}
  </ol>`;
}

function Facts({data, row}) {
  const shown = data.certificate;
  if (!shown) return html`<p class="problem">${data.error}</p>`;
  const rows = [
    [t('Subject'), shown.subject, {mono: true}],
    [t('Issuer'), shown.issuer, {mono: true}],
    [t('Valid from'), dateOf(shown.not_before)],
    [t('Valid until'), html`${dateOf(shown.not_after)} <${Validity} certificate=${row.live} />`],
    [t('Names'), namesOf(shown), {mono: true}],
    [t('Proves the domains'), shown.identities.join(', ') || t('none'), {mono: true}],
    [t('Key'), `${shown.key}, ${shown.signature}`],
    [t('Extended key usage'), shown.usages === null ? t('none') : shown.usages.join(', ')],
    [t('Serial number'), shown.serial, {mono: true}],
    ['SHA-256', shown.fingerprint, {mono: true, copy: true}],
    ['SHA-1', shown.fingerprint_sha1, {mono: true, copy: true}],
    [t('Pin of its key'), shown.spki, {mono: true, copy: true}],
    [t('Files'), data.files.join(', ') || '–', {mono: true}],
  ];
  return html`<${KeyValue} rows=${rows} />`;
}

/** Renew: made anew where sipx can, else a request for the same names. */
function Renewal({name, selfSigned, onDone}) {
  const [run, busy] = useAction();
  const [request, setRequest] = hooks.useState(null);
  const renew = async () => {
    const sure = await confirm({
      title: t('Renew {name}?', {name}),
      text: selfSigned
        ? t('It is self-signed: it is made anew with its key, so that pins stay right.')
        : t('A request for the same names is made, with its key. Your authority signs it.'),
      action: t('Renew'),
    });
    if (!sure) return;
    await run('renew', async () => {
      const done = await ask('certificates.renew', {name});
      if (done.request) setRequest(done);
      else toast(t('Renewed.'), {kind: 'ok'});
      onDone();
    });
  };
  return html`<${Button} icon="reload" busy=${busy === 'renew'} onClick=${renew} ...${needs('admin')}>
      ${t('Renew')}
    <//>
    ${request && html`<${RequestMade} made=${request} onClose=${() => setRequest(null)} />`}`;
}

function Detail({row, onClose}) {
  const [tab, setTab] = hooks.useState('facts');
  const {data, error, reload} = useCall(row.live ? 'certificates.show' : null, {name: row.name}, {deps: [row.name]});
  const findings = data?.findings ?? [];
  const bad = findings.filter((finding) => finding.severity !== 'ok').length;
  const remove = async () => {
    const used = row.live?.used_by ?? [];
    const text = used.length
      ? t('It is used by {used}. Its files stay where they are.', {used: used.join(', ')})
      : t('Its files stay where they are.');
    if (await removeTable(row.key, t('certificate {name}', {name: row.name}), text)) onClose();
  };
  const actions = html`
    <${Button} kind="danger" icon="trash" onClick=${remove} ...${needs('admin')}>${t('Remove')}<//>
    ${row.live && html`<${Renewal} name=${row.name} selfSigned=${data?.renewal === 'self-signed'} onDone=${reload} />`}
    <${Button} kind="primary" onClick=${onClose}>${t('Done')}<//>
  `;
  return html`<${Dialog} title=${t('Certificate {name}', {name: row.name})} onClose=${onClose} actions=${actions} wide>
    <${Tabs}
      label=${t('Certificate {name}', {name: row.name})}
      items=${[
        {id: 'facts', title: t('Certificate')},
        {id: 'chain', title: t('Chain')},
        {id: 'uses', title: t('Use for…')},
        {id: 'findings', title: t('Findings'), count: bad || undefined},
        {id: 'settings', title: t('Settings')},
      ]}
      value=${tab}
      onChange=${setTab}
    />
    ${error && html`<p class="problem" role="alert">${error.message}</p>`}
    ${row.live?.error && html`<p class="problem">${row.live.error}</p>`}
    ${!row.live && tab !== 'uses' && tab !== 'settings' &&
    html`<p class="muted">${t('It is known when the draft is saved and applied.')}</p>`}
    ${tab === 'facts' && data && html`<${Facts} data=${data} row=${row} />`}
    ${tab === 'chain' && data && html`<${Chain} chain=${data.certificate ? [data.certificate, ...data.certificate.chain] : []} />`}
    ${tab === 'uses' &&
    html`<p class="muted">${t('Where this certificate is shown. The change stands in the draft.')}</p>
      <${CertificateUses} name=${row.name} />`}
    ${tab === 'findings' && data &&
    (findings.length
      ? html`<${Findings} findings=${findings} />`
      : html`<p><${Icon} name="check" /> ${t('Nothing to complain about.')}</p>`)}
    ${tab === 'settings' &&
    html`<div class="settings">
      ${draft.value(`${row.key}.pkcs12_file`)
        ? html`<${Setting} k=${`${row.key}.pkcs12_file`} label=${t('PKCS #12 file')} />
            <${Setting} k=${`${row.key}.pkcs12_password`} label=${t('Password of the file')} />`
        : html`<${Setting} k=${`${row.key}.cert_file`} label=${t('Certificate file')} />
            <${Setting} k=${`${row.key}.key_file`} label=${t('Key file')} />`}
      <${Setting} k=${`${row.key}.warn_before`} label=${t('Warn before its end')} />
    </div>`}
  <//>`;
}

function Certificates() {
  const {named, error} = useCertificates();
  const [open, setOpen] = hooks.useState(route.value.params?.name ?? '');
  const [making, setMaking] = hooks.useState('');
  const rows = rowsOf(named);
  const opened = rows.find((row) => row.name === open && !row.removed);
  const domains = listOf('domains');
  const close = () => setMaking('');
  const Making = {import: ImportCertificate, request: RequestCertificate, self: SelfSigned}[making];
  const actions = html`
    <${Button} icon="upload" onClick=${() => setMaking('import')} ...${needs('admin')}>${t('Import…')}<//>
    <${Button} onClick=${() => setMaking('self')} ...${needs('admin')}>${t('Self-signed…')}<//>
    <${Button} kind="primary" icon="add" onClick=${() => setMaking('request')} ...${needs('admin')}>
      ${t('Request…')}
    <//>
  `;
  return html`<${Page}
    title=${t('Certificates')}
    lead=${t('What partners and UC servers are shown over TLS. {count} in use.', {count: fmt.number(rows.filter((row) => row.live?.used_by?.length).length)})}
    help="certificates"
    command=${COMMAND}
    actions=${actions}
  >
    ${error && html`<p class="problem" role="alert">${error.message}</p>`}
    <${Card} flush>
      <${Table}
        label=${t('Certificates')}
        columns=${columns()}
        rows=${rows}
        keyOf=${(row) => row.name}
        onOpen=${(row) => !row.removed && setOpen(row.name)}
        filterable=${rows.length > 8}
        empty=${{
          level: 2,
          title: t('No certificates yet'),
          text: t('TLS and federation need one. Import what you have, or request one from an authority.'),
        }}
      />
    <//>
    <${Card} title=${t('Authorities')}>
      <p class="muted">${t('Whose word counts about the certificates of others.')}</p>
      <${Setting} k="trust.ca" label=${t('Authorities that are believed')} />
      <${Setting} k="trust.extra_ca" label=${t('Further authorities')} />
      <${Setting} k="trust.crl" label=${t('Revocation lists')} />
      <${Setting} k="trust.min_tls" label=${t('Oldest version of TLS')} />
    <//>
    ${Making && html`<${Making} domains=${domains} onClose=${close} onDone=${close} />`}
    ${opened && html`<${Detail} row=${opened} key=${opened.name} onClose=${() => setOpen('')} />`}
  <//>`;
}

registerPage({
  id: 'certificates',
  title: 'Certificates',
  group: 'setup',
  order: 30,
  icon: 'certificate',
  Page: Certificates,
  help: 'certificates',
  command: COMMAND,
});
