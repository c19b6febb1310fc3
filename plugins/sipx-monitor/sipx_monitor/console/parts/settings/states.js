// States as an icon and a word, never by colour alone.
import {Badge, draft, html, t} from 'sipx';

/** What does not run: the draft adds it, or it is off. */
export function NotThere({k}) {
  return k && draft.isNew(k)
    ? html`<${Badge} kind="info" text=${t('New in the draft')} />`
    : html`<${Badge} kind="off" text=${t('Not running')} />`;
}

/** The state of an interface, with its reason below where it is not up. */
export function InterfaceState({summary, plain, k = ''}) {
  if (!summary) return html`<${NotThere} k=${k} />`;
  const badge = html`<${Badge} ...${interfaceBadge(summary.state)} />`;
  if (plain || !summary.reason || summary.state === 'off') return badge;
  return html`<div class="state-cell">${badge}<span class="reason">${summary.reason}</span></div>`;
}

function interfaceBadge(state) {
  switch (state) {
    case 'listening': return {kind: 'ok', text: t('Listening')};
    case 'starting': return {kind: 'busy', text: t('Starting')};
    case 'draining': return {kind: 'warn', text: t('Draining')};
    case 'failed': return {kind: 'bad', text: t('Failed')};
    case 'off': return {kind: 'off', text: t('Off')};
    default: return {kind: 'off', text: state || t('Not running')};
  }
}

/** What proves an account, in the reader's words. */
export function proofText(proof) {
  switch (proof) {
    case 'password': return t('a password');
    case 'certificate': return t('a certificate');
    case 'password and certificate': return t('password and certificate');
    case 'its address': return t('its address');
    default: return proof ?? '–';
  }
}

/** The state of a UC server. */
export function ServerBadge({state}) {
  switch (state) {
    case 'up': return html`<${Badge} kind="ok" text=${t('Up')} />`;
    case 'suspect': return html`<${Badge} kind="warn" text=${t('Suspect')} />`;
    case 'down': return html`<${Badge} kind="bad" text=${t('Down')} />`;
    case 'draining': return html`<${Badge} kind="warn" text=${t('Draining')} />`;
    case 'maintenance': return html`<${Badge} kind="info" text=${t('Disconnected')} />`;
    case 'never seen': return html`<${Badge} kind="off" text=${t('Never seen')} />`;
    default: return html`<${Badge} kind="off" text=${state} />`;
  }
}

/** How bad a finding is. */
export function SeverityBadge({severity}) {
  switch (severity) {
    case 'ok': return html`<${Badge} kind="ok" text=${t('OK')} />`;
    case 'warning': return html`<${Badge} kind="warn" text=${t('Warning')} />`;
    case 'failure': return html`<${Badge} kind="bad" text=${t('Failure')} />`;
    default: return html`<${Badge} kind="info" text=${severity} />`;
  }
}

const SHOWN = 3;
const ORDER = {failure: 0, warning: 1, ok: 2};

/** Findings that say the same of several things, the worst first. */
function alike(findings) {
  const groups = new Map();
  for (const finding of findings) {
    const same = `${finding.severity} ${finding.code} ${finding.remedy}`;
    groups.set(same, [...(groups.get(same) ?? []), finding]);
  }
  return [...groups.values()].sort(([a], [b]) => (ORDER[a.severity] ?? 3) - (ORDER[b.severity] ?? 3));
}

function Finding({finding, action}) {
  return html`<li class=${`finding ${finding.severity}`}>
    <div class="finding-head">
      <${SeverityBadge} severity=${finding.severity} />
      <code>${finding.code}</code>
    </div>
    <div class="finding-text">
      <p>${finding.text}</p>
      ${finding.remedy && html`<p class="muted">${finding.remedy}</p>`}
      ${action?.(finding)}
    </div>
  </li>`;
}

/** Findings with what to do about them; of many that are alike only the first. */
export function Findings({findings, action}) {
  const line = (finding, index) => html`<${Finding} key=${index} finding=${finding} action=${action} />`;
  return html`<ul class="finding-list">
    ${alike(findings).map((group) => {
      const rest = group.length > SHOWN + 1 ? group.slice(SHOWN) : [];
      return html`${group.slice(0, group.length - rest.length).map(line)}
        ${rest.length > 0 &&
        html`<li class="finding-more">
          <details>
            <summary>${t('{count} more of the same', {count: rest.length})}</summary>
            <ul class="finding-list">${rest.map(line)}</ul>
          </details>
        </li>`}`;
    })}
  </ul>`;
}

/** The protocols as choices: what is encrypted is said. */
export function protocolOptions() {
  return [
    ['udp', t('UDP: not encrypted')],
    ['tcp', t('TCP: not encrypted')],
    ['tls', t('TLS: encrypted, the server proves itself')],
    ['mtls', t('MTLS: encrypted, both prove themselves')],
  ];
}

/** Whether a protocol runs over TLS. */
export function secured(protocol) {
  return ['tls', 'mtls', 'wss'].includes(protocol);
}

/** The sides that an interface may be on. */
export function roleOptions() {
  return [
    ['wan', t('WAN: towards partners')],
    ['lan', t('LAN: towards the UC servers')],
  ];
}

/** A protocol in words: what is encrypted is to be seen. */
export function protocolText(protocol) {
  switch (protocol) {
    case 'udp': return 'UDP';
    case 'tcp': return 'TCP';
    case 'tls': return 'TLS';
    case 'mtls': return 'MTLS';
    default: return String(protocol ?? '').toUpperCase();
  }
}
