// Where something listens: address, port, protocol, and over TLS the certificate that is shown.
import {Setting, draft, html, t} from 'sipx';
import {AddressSetting} from './address.js';
import {CertificateSetting} from './certificate.js';
import {protocolOptions, secured} from './states.js';

/**
 * The settings of a listener whose keys stand below `k`. `none` says what counts where no address
 * is given; `fixed` leaves out the protocol, where it is always the same. What is put inside
 * stands before the certificate.
 */
export function ListenerSettings({k, label, none, fixed = false, children}) {
  return html`
    <${AddressSetting} k=${`${k}.bind`} label=${label ?? t('IP address')} none=${none} all />
    <${Setting} k=${`${k}.port`} label=${t('Port')} />
    ${!fixed && html`<${Setting} k=${`${k}.protocol`} label=${t('Protocol')} options=${protocolOptions()} />`}
    ${children}
    ${!fixed &&
    secured(draft.value(`${k}.protocol`)) &&
    html`<${CertificateSetting} k=${`${k}.certificate`} label=${t('Certificate')} inherited=${draft.value('wan.certificate')} />`}
  `;
}
