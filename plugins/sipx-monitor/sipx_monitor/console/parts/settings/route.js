// One static route: its properties, and a new one.
import {Badge, Button, Dialog, Setting, draft, html, navigate, t} from 'sipx';
import {needs} from './acting.js';
import {AddDialog, filled, numberOf} from './adding.js';
import {AddressSetting, useAddresses} from './address.js';
import {table} from './keys.js';
import {protocolOptions, secured} from './states.js';

const PREFIX = 'static-routes.route';

export function RouteProperties({row, remove, onClose}) {
  const {key} = row;
  const protocol = draft.value(`${key}.protocol`) ?? 'udp';
  const secure = secured(protocol);
  const actions = html`
    <${Button} kind="danger" icon="trash" onClick=${() => remove(row)} ...${needs('admin')}>${t('Remove')}<//>
    ${draft.isChanged(key) &&
    html`<${Button} icon="undo" onClick=${() => draft.revert(key)}>${t('Revert this route')}<//>`}
    <${Button} onClick=${() => navigate('partners', {domain: row.domain})}>${t('Check')}<//>
    <${Button} kind="primary" onClick=${onClose}>${t('Done')}<//>
  `;
  return html`<${Dialog} title=${t('Route {domain}', {domain: row.domain})} onClose=${onClose} actions=${actions} wide>
    <div class="settings">
      ${row.live?.trouble && html`<p><${Badge} kind="warn" text=${t('Trouble')} /> ${row.live.trouble}</p>`}
      ${row.live?.addresses?.length > 0 &&
      html`<p class="muted">${t('The access server is at {addresses} now.', {addresses: row.live.addresses.join(', ')})}</p>`}
      <${Setting} k=${`${key}.enabled`} label=${t('Activate')} />
      <${Setting}
        k=${`${key}.trusted`}
        label=${t('Trustworthy')}
        disabled=${protocol === 'mtls'}
        why=${t('Always: over MTLS its certificate proves it.')}
      />
      <${Setting} k=${`${key}.server`} label=${t('Access server')} widget="list" />
      <${Setting} k=${`${key}.port`} label=${t('Port')} placeholder=${secure ? '5061' : '5060'} />
      <${Setting} k=${`${key}.protocol`} label=${t('Protocol')} options=${protocolOptions()} />
      <${AddressSetting} k=${`${key}.bind`} label=${t('Bind to IP address')} none=${t('chosen by sipx')} />
      <${Setting} k=${`${key}.comment`} label=${t('Comment')} />
      ${secure &&
      html`<details>
        <summary>${t('Certificates')}</summary>
        <${Setting} k=${`${key}.certificate`} label=${t('Certificate it is shown')} widget="certificate" />
        <${Setting} k=${`${key}.ca`} label=${t('Authorities')} />
        <${Setting} k=${`${key}.pins`} label=${t('Pinned keys')} />
        <${Setting} k=${`${key}.sni`} label=${t('Name asked for (SNI)')} />
        <${Setting} k=${`${key}.eku_policy`} label=${t('Extended key usage')} />
        <${Setting} k=${`${key}.allow_wildcard`} label=${t('Take wildcards')} />
        <${Setting} k=${`${key}.accept_cn`} label=${t('Take common names')} />
        <${Setting} k=${`${key}.verify`} label=${t('Check its certificate')} />
      </details>`}
      ${!secure &&
      draft.value(`${key}.trusted`) &&
      html`<details>
        <summary>${t('Trust on a public address')}</summary>
        <${Setting} k=${`${key}.insecure_trust`} label=${t('Reason')} placeholder="yes, " />
      </details>`}
    </div>
  <//>`;
}

export function AddRoute({onClose}) {
  const addresses = useAddresses({all: false});
  const fields = (values) => [
    {
      name: 'domain', label: t('Domain'), required: true, autofocus: true, mono: true,
      placeholder: 'partner.example',
      help: t('What stands behind the @ of its users; *.lab.example means all below.'),
    },
    {
      name: 'server', label: t('Access server'), required: true, mono: true,
      placeholder: 'sip.partner.example',
      help: t('An IP address or host name; several with commas are tried in order.'),
    },
    {
      name: 'protocol', label: t('Protocol'), options: protocolOptions(),
    },
    {
      name: 'port', label: t('Port'), widget: 'number',
      placeholder: secured(values.protocol) ? '5061' : '5060',
    },
    {
      name: 'bind', label: t('Bind to IP address'),
      options: [['', t('chosen by sipx')], ...addresses],
    },
    {
      name: 'trusted', label: t('Trustworthy'), widget: 'switch', when: ({protocol}) => protocol !== 'mtls',
      help: t('Its requests are accepted by its address alone. Only in a network of your own.'),
    },
    {name: 'enabled', label: t('Activate'), widget: 'switch'},
    {name: 'comment', label: t('Comment')},
  ];
  const build = ({domain = '', server = '', port, ...values}) => {
    const wanted = domain.trim().toLowerCase();
    if (!wanted) return {problems: {domain: [t('Name the domain.')]}};
    if (draft.tables(PREFIX).includes(wanted)) {
      return {problems: {domain: [t('There is a route for this domain.')]}};
    }
    const servers = server.split(',').map((each) => each.trim()).filter(Boolean);
    if (!servers.length) return {problems: {server: [t('Name the access server.')]}};
    if (values.protocol === 'mtls' || !values.trusted) delete values.trusted;
    if (values.enabled) delete values.enabled;
    return {
      key: table(PREFIX, wanted),
      values: filled({server: servers.length === 1 ? servers[0] : servers, port: numberOf(port), ...values}),
    };
  };
  return html`<${AddDialog}
    title=${t('Add a static route')}
    fields=${fields}
    initial=${{domain: '', server: '', protocol: 'mtls', port: '', bind: '', trusted: false, enabled: true, comment: ''}}
    build=${build}
    onClose=${onClose}
  />`;
}
