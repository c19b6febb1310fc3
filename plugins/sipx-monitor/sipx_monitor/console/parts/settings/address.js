// The choice of an address: those of this machine by name, any other by typing it.
import {Button, Setting, draft, hooks, html, t, useCall} from 'sipx';
import {needs} from './acting.js';

/** The addresses of this machine as options: pairs of value and text. */
export function useAddresses({all = true} = {}) {
  const {data} = useCall('interfaces.available');
  const found = (data?.addresses ?? []).filter((one) => !one.link_local);
  return [
    ...(all ? [['*', t('all IPv4 addresses (*)')], ['::', t('all IPv6 addresses (::)')]] : []),
    ...found.map((one) => [one.address, `${one.address} – ${wordsOf(one)}`]),
  ];
}

function wordsOf(one) {
  const words = [one.device];
  if (one.loopback) words.push(t('this machine only'));
  else words.push(one.private ? t('private') : t('public'));
  if (one.up === false) words.push(t('no link'));
  return words.join(', ');
}

/** A setting with choices where any other text may stand as well. */
export function OpenChoice({k, options, ...rest}) {
  const [typing, setTyping] = hooks.useState(false);
  const value = draft.value(k) ?? '';
  const known = options.some(([one]) => (one ?? '') === value);
  const button = html`<${Button}
    kind="ghost"
    icon=${typing ? 'list' : 'edit'}
    onClick=${() => setTyping(!typing)}
    ...${{title: typing ? t('Choose from a list') : t('Type another value'), ...needs('admin')}}
  />`;
  return typing
    ? html`<${Setting} k=${k} widget="text" after=${button} ...${rest} />`
    : html`<${Setting} k=${k} options=${known ? options : [...options, [value, String(value)]]} after=${button} ...${rest} />`;
}

/**
 * A setting that is an address of this machine. `none` says what counts where none is chosen;
 * `all` offers all addresses at once, as who listens may want it.
 */
export function AddressSetting({none, all = false, ...rest}) {
  const addresses = useAddresses({all});
  const options = none === undefined ? addresses : [[undefined, none], ...addresses];
  return html`<${OpenChoice} options=${options} ...${rest} />`;
}
