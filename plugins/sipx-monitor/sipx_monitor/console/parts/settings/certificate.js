// Certificates: how long they last, what they say, and the choice of one for something.
import {
  Badge, Button, KeyValue, Setting, draft, fmt, html, navigate, t, useCall, useTopic,
} from 'sipx';
import {seconds} from './keys.js';

const SOON = 21;
const LAST = 7;

/** The tables `[certificate.NAME]` as they run, by name. */
export function useCertificates() {
  const {state, error} = useTopic('certs', {});
  const list = state?.certificates ?? [];
  return {list, error, loading: !state && !error, named: new Map(list.map((c) => [c.name, c]))};
}

/** How long a certificate is good, as an icon and words. */
export function Validity({certificate}) {
  if (!certificate) return html`<${Badge} kind="off" text=${t('Not in use')} />`;
  if (certificate.error) return html`<${Badge} kind="bad" text=${t('Cannot be used')} />`;
  const days = certificate.days_left;
  if (days === null || days === undefined) {
    return html`<${Badge} kind="off" text=${t('Not loaded')} />`;
  }
  if (days < 0) return html`<${Badge} kind="bad" text=${t('Has ended')} />`;
  if (days === 0) return html`<${Badge} kind="bad" text=${t('Less than a day left')} />`;
  if (days === 1) return html`<${Badge} kind="bad" text=${t('1 day left')} />`;
  const text = t('{days} days left', {days: fmt.number(days)});
  return html`<${Badge} kind=${days < LAST ? 'bad' : days < SOON ? 'warn' : 'ok'} text=${text} />`;
}

/** Subject, issuer, validity and names of one: what the original showed beside the choice. */
export function CertificateFacts({name}) {
  const {named} = useCertificates();
  const {data, error} = useCall('certificates.show', {name}, {deps: [name]});
  const drafted = !named.has(name);
  if (drafted) {
    return html`<p class="muted facts">
      ${t('It is known when the draft is saved and applied.')}
    </p>`;
  }
  if (error) return html`<p class="problem facts">${error.message}</p>`;
  if (!data) return html`<p class="muted facts">${t('Reading the certificate…')}</p>`;
  const shown = data.certificate;
  if (!shown) return html`<p class="problem facts">${data.error}</p>`;
  const rows = [
    [t('Subject'), shown.subject, {mono: true}],
    [t('Issuer'), shown.issuer, {mono: true}],
    [t('Valid from'), dateOf(shown.not_before)],
    [t('Valid until'), html`${dateOf(shown.not_after)} <${Validity} certificate=${named.get(name)} />`],
    [t('Names'), namesOf(shown), {mono: true}],
  ];
  return html`<div class="facts"><${KeyValue} rows=${rows} /></div>`;
}

/** The names in a certificate, without what kind each is. */
export function namesOf(certificate) {
  return certificate.names.map((name) => name.replace(/^DNS:/, '')).join(', ') || '–';
}

/** A day, or a dash where there is none. */
export function dateOf(value) {
  const when = seconds(value);
  return when === null ? '–' : fmt.date(when);
}

/** The choice of a certificate for a key, with what it says below. `inherited`: what counts
 * where nothing is chosen.
 */
export function CertificateSetting({k, label, help, inherited}) {
  const chosen = draft.value(k);
  const name = (Array.isArray(chosen) ? chosen[0] : chosen) || inherited;
  const none = draft.tables('certificate').length === 0;
  return html`<div class="certificate-choice">
    <${Setting} k=${k} label=${label ?? t('Certificate')} help=${help} />
    ${none &&
    html`<p class="muted facts">
      ${t('There is no certificate yet.')}${' '}
      <${Button} kind="ghost" icon="certificate" onClick=${() => navigate('certificates', {})}>
        ${t('Open Certificates')}
      <//>
    </p>`}
    ${!chosen && inherited &&
    html`<p class="muted facts">${t('Not chosen here: {name} of WAN is used.', {name: inherited})}
    </p>`}
    ${name && html`<${CertificateFacts} name=${name} key=${name} />`}
  </div>`;
}
