// The kinds of NAT in words: what each means for partners who connect, and what to do.
import {t} from 'sipx';

/** `{meaning, todo, behind, unasked}`: whether there is a NAT, and whether UDP comes in unasked. */
export function natWords(kind) {
  switch (kind) {
    case 'Open Internet':
      return {
        name: t('Open Internet'), behind: false, unasked: true,
        meaning: t('There is no NAT, and UDP arrives unasked. Partners reach TCP 5061 here unless a firewall treats TCP otherwise.'),
      };
    case 'Symmetric UDP Firewall':
      return {
        name: t('Symmetric UDP Firewall'), behind: false, unasked: false,
        meaning: t('There is no NAT, but a firewall lets in nothing but answers. TCP 5061 has to be opened in it.'),
      };
    case 'Full Cone':
      return {
        name: t('Full Cone'), behind: true, unasked: true,
        meaning: t('A NAT that lets anybody in to a port that has been used. TCP 5061 still has to be forwarded to this machine.'),
      };
    case 'Restricted Cone':
      return {
        name: t('Restricted Cone'), behind: true, unasked: false,
        meaning: t('A NAT that lets in only addresses that were sent to. TCP 5061 has to be forwarded to this machine.'),
      };
    case 'Port Restricted Cone':
      return {
        name: t('Port Restricted Cone'), behind: true, unasked: false,
        meaning: t('A NAT that lets in only addresses and ports that were sent to, as most routers do. TCP 5061 has to be forwarded to this machine.'),
      };
    case 'Symmetric NAT':
      return {
        name: t('Symmetric NAT'), behind: true, unasked: false,
        meaning: t('A NAT with another public port for each destination. TCP 5061 has to be forwarded to this machine, at the address that was found.'),
      };
    case 'Firewall blocking UDP':
      return {
        name: t('Firewall blocking UDP'), behind: null, unasked: false,
        meaning: t('No UDP comes back, which says nothing of TCP 5061. The public address has to be written down by hand.'),
      };
    default:
      return {
        name: t('Unknown'), behind: null, unasked: null,
        meaning: t('The kind of NAT could not be measured. A public address that was found is right all the same.'),
      };
  }
}

/** Mapping and filtering of RFC 5780 in words. */
export function behaviourText(word) {
  switch (word) {
    case 'no NAT': return t('no NAT');
    case 'endpoint-independent': return t('endpoint-independent');
    case 'address-dependent': return t('address-dependent');
    case 'address-and-port-dependent': return t('address-and-port-dependent');
    default: return t('unknown');
  }
}

export function mappingMeaning(word) {
  switch (word) {
    case 'no NAT': return t('The world sees the address of this machine.');
    case 'endpoint-independent': return t('One public port for all destinations.');
    case 'address-dependent': return t('Another public port for each address.');
    case 'address-and-port-dependent': return t('Another public port for each address and port.');
    default: return t('Not measured: the server needs a second address for that.');
  }
}

export function filteringMeaning(word) {
  switch (word) {
    case 'endpoint-independent': return t('Anybody may send to a port that has been used.');
    case 'address-dependent': return t('Only addresses that were sent to may send.');
    case 'address-and-port-dependent': return t('Only addresses and ports that were sent to may send.');
    default: return t('Not measured: the server needs a second address for that.');
  }
}
