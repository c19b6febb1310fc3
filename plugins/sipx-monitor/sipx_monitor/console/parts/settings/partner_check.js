// The way to a partner, walked step by step: what `check.partner` and `probe` say, drawn.
import {Badge, Button, Icon, KeyValue, call, fmt, hooks, html, t} from 'sipx';
import {needs, useElapsed} from './acting.js';

const MARKS = {ok: 'check', warning: 'warn', no: 'off', failed: 'close', skipped: 'off'};
const KINDS = {ok: 'ok', warning: 'warn', no: 'off', failed: 'bad', skipped: 'off'};

function stepTitle(name) {
  switch (name) {
    case 'route': return t('Way');
    case 'srv': return t('SRV record');
    case 'address': return t('Address');
    case 'tcp': return t('TCP');
    case 'tls': return t('TLS');
    case 'chain': return t('Chain');
    case 'eku': return t('Key usage');
    case 'identity': return t('Identity');
    case 'options': return t('OPTIONS');
    default: return name;
  }
}

function stateText(state) {
  switch (state) {
    case 'ok': return t('OK');
    case 'warning': return t('Warning');
    case 'no': return t('Not by this');
    case 'failed': return t('Failed');
    default: return t('Skipped');
  }
}

export function Steps({steps}) {
  return html`<ol class="steps way">
    ${steps.map(
      (step) => html`<li class="step">
        <span class=${`step-mark ${KINDS[step.state] ?? ''}`} aria-hidden="true">
          <${Icon} name=${MARKS[step.state] ?? 'info'} />
        </span>
        <div class="step-body">
          <h4>
            ${stepTitle(step.name)} <span class="unseen">${stateText(step.state)}</span>
            ${step.ms !== null && html` <span class="muted">${fmt.duration(step.ms / 1000)}</span>`}
          </h4>
          <p>${step.text}</p>
          ${step.remedy && html`<p class="muted">${step.remedy}</p>`}
        </div>
      </li>`,
    )}
  </ol>`;
}

function Answer({probe}) {
  const rows = [
    [t('Answer'), probe.sent && probe.status ? `${probe.status} ${probe.reason}` : probe.why || '–'],
    probe.meaning.length > 0 && [t('Means'), probe.meaning.join(' ')],
    probe.place && [t('Went to'), probe.place, {mono: true}],
    probe.interface && [t('From interface'), probe.interface],
    probe.tls && [t('TLS'), `${probe.tls.version} ${probe.tls.cipher}`, {mono: true}],
    probe.tls && [t('Its certificate'), probe.tls.certificate, {mono: true}],
    probe.tls?.profile && [t('Proven by'), `${probe.tls.profile}: ${probe.tls.name}`],
    probe.server && [t('Software'), probe.server],
    probe.allow.length > 0 && [t('Allows'), probe.allow.join(', '), {mono: true}],
    probe.times.answer !== null && [t('Answered in'), fmt.duration(probe.times.answer / 1000)],
    probe.remedy && [t('What to do'), probe.remedy],
  ];
  return html`<div role="status">
    <p>
      ${probe.good
        ? html`<${Badge} kind="ok" text=${t('The way works')} />`
        : html`<${Badge} kind="bad" text=${t('The way does not work')} />`}
    </p>
    <${KeyValue} rows=${rows} />
  </div>`;
}

/** Check and probe of a domain. */
export function PartnerCheck({domain, begin = false}) {
  const [doing, setDoing] = hooks.useState('');
  const [checked, setChecked] = hooks.useState(null);
  const [probe, setProbe] = hooks.useState(null);
  const [problem, setProblem] = hooks.useState('');
  const elapsed = useElapsed(doing !== '');
  const ask = async (what, method, params, put) => {
    setDoing(what);
    setProblem('');
    setChecked(null);
    setProbe(null);
    try {
      put(await call(method, params));
    } catch (error) {
      setProblem(error.message);
    } finally {
      setDoing('');
    }
  };
  const check = () => ask('check', 'check.partner', {domain}, setChecked);
  hooks.useEffect(() => {
    if (begin && !needs('operator').disabled) void check();
  }, []);
  return html`<div class="partner-check">
    <div class="in-line">
      <${Button} kind="primary" icon="search" busy=${doing === 'check'} onClick=${check} ...${needs('operator')}>
        ${t('Check the whole way')}
      <//>
      <${Button}
        icon="send"
        busy=${doing === 'probe'}
        onClick=${() => ask('probe', 'probe', {uri: `sip:${domain}`}, setProbe)}
        ...${needs('operator')}
      >
        ${t('Send OPTIONS')}
      <//>
      ${doing && html`<span class="muted" role="status">${t('{seconds} s', {seconds: Math.floor(elapsed)})}</span>`}
    </div>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    ${checked &&
    html`<p class=${`remark ${checked.good ? 'ok' : 'bad'}`} role="status">
        <${Icon} name=${checked.good ? 'ok' : 'bad'} />
        ${checked.good ? t('A message would get there.') : t('A message would not get there.')}
        ${checked.temporary && ` ${t('A name server failed: it may be otherwise soon.')}`}
      </p>
      <${Steps} steps=${checked.steps} />`}
    ${probe && html`<${Answer} probe=${probe} />`}
  </div>`;
}
