// "Explain a URI": what would become of a request now, drawn as the steps that it takes.
import {
  Badge, Button, Card, Form, Icon, call, hooks, html, navigate, t, useTopic,
} from 'sipx';
import {place} from './keys.js';
import {protocolText} from './states.js';

const METHODS = ['MESSAGE', 'SUBSCRIBE', 'INVITE', 'OPTIONS', 'NOTIFY', 'PUBLISH', 'REGISTER'];

/** A step of the way: its mark says how it went. */
function Step({kind, title, children}) {
  const icons = {ok: 'check', bad: 'close', warn: 'warn', info: 'arrowdown'};
  return html`<li class="step">
    <span class=${`step-mark ${kind}`} aria-hidden="true"><${Icon} name=${icons[kind] ?? 'arrowdown'} /></span>
    <div class="step-body"><h3>${title}</h3>${children}</div>
  </li>`;
}

/** A row of the tables of trust: the help has them all. */
function Row({row}) {
  if (!row) return null;
  return html` <a class="row-link" href="#/help?topic=trust">${t('row {row}', {row})}</a>`;
}

function Arrivals({arrivals}) {
  if (!arrivals.length) return html`<p class="muted">${t('From a UC server that has logged on.')}</p>`;
  return html`<ul class="lines">
    ${arrivals.map(
      (one) => html`<li>
        <span><strong>${one.interface}</strong> ${protocolText(one.protocol)}</span>
        <span>
          ${one.accepted
            ? html`<${Badge} kind="ok" text=${one.trusted ? t('accepted, trusted') : t('accepted')} />`
            : html`<${Badge} kind="bad" text=${t('refused: {status}', {status: one.status})} />`}
          ${' '}${one.why}<${Row} row=${one.row} />
        </span>
      </li>`,
    )}
  </ul>`;
}

function Targets({targets}) {
  const groups = [...new Set(targets.map((one) => one.group))];
  return html`<ol class="targets">
    ${groups.map((group) => {
      const members = targets.filter((one) => one.group === group);
      return html`<li>
        ${members.length > 1 && html`<p class="muted">${t('at the same time:')}</p>`}
        ${members.map(
          (one) => html`<div class="target">
            <strong>${one.name}</strong>
            ${one.status > 0 && html` <${Badge} kind="bad" text=${`${one.status} ${one.why}`} />`}
            <ol class="hops">
              ${one.hops.map(
                (hop) => html`<li class=${hop.refused ? 'refused' : ''}>
                  <span class="mono">${protocolText(hop.transport)} ${place(hop.address, hop.port)}</span>
                  ${hop.name && hop.name !== hop.address && html` <span class="muted mono">${hop.name}</span>`}
                  ${hop.refused
                    ? html` <${Badge} kind="off" text=${t('not tried')} /> ${hop.refused}`
                    : hop.interface && html` <span class="muted">${t('from {interface}', {interface: hop.interface})}</span>`}
                </li>`,
              )}
            </ol>
          </div>`,
        )}
      </li>`;
    })}
  </ol>`;
}

function Told({told}) {
  const refused = told.status > 0;
  const accepted = !told.arrivals.length || told.arrivals.some((one) => one.accepted);
  return html`<div role="status">
    <p class=${`remark ${refused || !accepted ? 'bad' : 'ok'}`}>
      <${Icon} name=${refused || !accepted ? 'bad' : 'ok'} />
      ${refused
        ? t('It is answered {status}: {why}', {status: told.status, why: told.why})
        : accepted
          ? t('It is forwarded to {name}.', {name: [...new Set(told.targets.map((one) => one.name))].join(', ')})
          : t('It is refused where it comes in.')}
    </p>
    <ol class="steps way">
      <${Step} kind=${accepted ? 'ok' : 'bad'} title=${t('{method} comes in', {method: told.method})}>
        <p class="mono">${told.uri}</p>
        ${told.from_uri && html`<p class="muted">${t('From')} <span class="mono">${told.from_uri}</span></p>`}
        <${Arrivals} arrivals=${told.arrivals} />
      <//>
      <${Step} kind=${refused ? 'bad' : 'ok'} title=${t('Where it goes')}>
        ${told.reasons.length > 0 && html`<ul class="reasons">${told.reasons.map((line) => html`<li>${line}</li>`)}</ul>`}
        ${refused && html`<p>${told.why}<${Row} row=${told.row} /></p>`}
        ${!refused && told.row > 0 && html`<p class="muted">${t('Decided by')}<${Row} row=${told.row} /></p>`}
      <//>
      ${told.dns.length > 0 &&
      html`<${Step} kind=${told.dns.some((one) => one.temporary) ? 'warn' : 'ok'} title=${t('What the DNS says')}>
        <ul class="reasons">
          ${told.dns.map(
            (one) => html`<li><span class="mono">${one.name} ${one.type}</span>: ${one.text}</li>`,
          )}
        </ul>
      <//>`}
      ${told.targets.length > 0 &&
      html`<${Step} kind=${told.targets.some((one) => !one.status) ? 'ok' : 'bad'} title=${t('What is tried, in this order')}>
        <${Targets} targets=${told.targets} />
      <//>`}
    </ol>
  </div>`;
}

export function Explain({initial}) {
  const accounts = useTopic('accounts', {}).state?.accounts ?? [];
  const interfaces = useTopic('interfaces', {}).state?.interfaces ?? [];
  const [values, setValues] = hooks.useState({
    uri: initial, method: 'MESSAGE', account: '', address: '', interface: '', from_uri: '',
  });
  const [told, setTold] = hooks.useState(null);
  const [problem, setProblem] = hooks.useState('');
  const [busy, setBusy] = hooks.useState(false);
  const explain = async () => {
    if (!values.uri?.trim()) {
      setProblem(t('Type an address, such as sip:bob@partner.example.'));
      return;
    }
    setBusy(true);
    setProblem('');
    const uri = /^[a-z]+:/i.test(values.uri.trim()) ? values.uri.trim() : `sip:${values.uri.trim()}`;
    const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value));
    try {
      setTold(await call('explain', {...given, uri}));
      navigate('routes', {uri}, {replace: true});
    } catch (error) {
      setTold(null);
      setProblem(error.message);
    } finally {
      setBusy(false);
    }
  };
  hooks.useEffect(() => {
    if (initial) void explain();
  }, []);
  const fields = [
    {
      name: 'uri', label: t('Request-URI'), mono: true, placeholder: 'sip:bob@partner.example',
      help: t('Whom the request is for. Nothing is sent.'), wide: true,
    },
    {name: 'method', label: t('Method'), options: METHODS.map((one) => [one, one])},
    {
      name: 'account', label: t('Sent by'),
      options: [['', t('any UC server')], ...accounts.map((one) => [one.name, one.name])],
    },
    {
      name: 'address', label: t('Or from IP address'), mono: true, placeholder: '203.0.113.7',
      help: t('Then each interface judges it.'),
    },
    {
      name: 'interface', label: t('Comes in at'),
      options: [['', t('any interface')], ...interfaces.map((one) => [one.name, one.name])],
    },
    {name: 'from_uri', label: t('From URI'), mono: true, placeholder: 'sip:ada@example.com'},
  ];
  return html`<${Card} title=${t('What would become of a request')}>
    <form class="explain" onSubmit=${(event) => { event.preventDefault(); void explain(); }}>
      <${Form} fields=${fields} value=${values} onChange=${setValues} problems=${{uri: problem ? [problem] : []}} />
      <${Button} kind="primary" icon="search" type="submit" busy=${busy}>${t('Explain')}<//>
    </form>
    ${told && html`<${Told} told=${told} />`}
  <//>`;
}
