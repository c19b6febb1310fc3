/** The first look: is all well, what flows, what needs somebody. */
import {
  Badge, Button, Busy, Card, Chart, Empty, KeyValue, Page, Table, Trouble, fmt, hooks, href, html, navigate, registerPage,
  t, useNow, useTopic,
} from 'sipx';

const {useMemo} = hooks;
const SOON = 30;

function OverviewPage() {
  const {state: status, error} = useTopic('status');
  const {state: metrics, error: unmeasured} = useTopic('metrics', {last: 300});
  if (!status) {
    return html`<${Page} title=${t('Overview')} help="operations" command="sipx status">
      ${error ? html`<${Trouble} error=${error} />` : html`<${Busy} />`}<//>`;
  }
  return html`<${Page} title=${t('Overview')} help="operations" command="sipx status">
    <${Verdict} status=${status} />
    <${Figures} status=${status} metrics=${metrics} />
    ${unmeasured ? html`<${Trouble} error=${unmeasured} />` : html`<${Charts} metrics=${metrics} />`}
    <div class="columns">
      <${Interfaces} status=${status} />
      <${Partners} />
      <${Certificates} status=${status} />
      <${Public} status=${status} />
      <${Refused} status=${status} />
    </div>
  <//>`;
}

// ---------------------------------------------------------------- is all well

function Verdict({status}) {
  const {healthy, problems, service, troubles} = status;
  const stopped = service.state !== 'running';
  const failures = problems.filter(({severity}) => severity === 'failure');
  const list = [...failures, ...problems.filter(({severity}) => severity !== 'failure')];
  const noted = list.length + troubles.length > 0;
  const kind = stopped ? 'bad' : !healthy ? 'bad' : noted ? 'warn' : 'ok';
  const words = stopped ? t('The proxy service does not run') : !healthy ? t('Something is broken')
    : noted ? t('It works, and something wants to be looked at') : t('All is well');
  const now = useNow(10);
  return html`<section class=${`verdict verdict-${kind}`} aria-label=${t('Health')}>
    <div class="verdict-head"><${Badge} kind=${kind} text=${words} />
      <span class="muted">${service.domains.join(', ')} · ${t('process up {time}', {time: fmt.duration(now - service.started)})} · sipx ${service.version}</span>
      <span class="verdict-buttons">
        ${stopped && html`<${Button} small kind="primary" onClick=${() => navigate('service')}>${t('To the service')}<//>`}
        <${Button} small icon="check" onClick=${() => navigate('checks')}>${t('All checks')}<//></span></div>
    ${list.length > 0 && html`<ul class="findings">${list.map(({severity, text, remedy}) => html`<li key=${text}>
      <${Badge} kind=${severity === 'failure' ? 'bad' : 'warn'} text=${severity === 'failure' ? t('failure') : t('warning')} />
      <span>${text}${remedy && html` <span class="muted">${remedy}</span>`}</span></li>`)}</ul>`}
    ${troubles.length > 0 && html`<ul class="findings">${troubles.slice(0, 8).map(({kind: what, name, text, lasting, times}) => html`<li key=${what + name}>
      <${Badge} kind="warn" text=${name || what} /><span>${text} <span class="muted">${t('for {time}, {n} times', {time: fmt.duration(lasting), n: fmt.number(times)})}</span></span></li>`)}</ul>`}
  </section>`;
}

// ---------------------------------------------------------------- figures and charts

function last(metrics, name) {
  return metrics?.[name]?.findLast((value) => value !== null) ?? null;
}

function Figures({status, metrics}) {
  const {transactions, flows, requests, answers} = status;
  const all = Object.values(requests).reduce((sum, n) => sum + n, 0);
  const classes = {};
  for (const {status: code, count} of answers ?? []) classes[Math.floor(code / 100)] = (classes[Math.floor(code / 100)] ?? 0) + count;
  const final = [2, 3, 4, 5, 6].reduce((sum, one) => sum + (classes[one] ?? 0), 0);
  const figure = (label, value, unit, page) => html`<div class="figure" key=${label}>
    <dt>${page ? html`<a href=${href(page)}>${label}</a>` : label}</dt><dd>${value}${unit && html` <small>${unit}</small>`}</dd></div>`;
  return html`<dl class="figures">
    ${figure(t('Messages in'), fmt.rate(last(metrics, 'messages_in')), '/s', 'live')}
    ${figure(t('Messages out'), fmt.rate(last(metrics, 'messages_out')), '/s', 'live')}
    ${figure(t('Transactions'), fmt.number((transactions.servers ?? 0) + (transactions.clients ?? 0)), t('now'), 'transactions')}
    ${figure(t('Connections'), fmt.number(flows.open), t('open'), 'interfaces')}
    ${figure(t('Requests'), fmt.number(all), t('in all'))}
    ${figure(t('Answered well'), final ? fmt.percent((classes[2] ?? 0) / final) : '–', final ? '2xx' : '')}
    ${figure(t('Memory'), fmt.bytes(last(metrics, 'memory')))}
    ${figure(t('Processor'), metrics ? fmt.percent(Math.round(last(metrics, 'cpu') ?? 0) / 100) : '–')}
  </dl>`;
}

/** The classes of answers that there were any of, those of success always. */
const ANSWERS = [['2xx', 'ok'], ['3xx', 'info'], ['4xx', 'warn'], ['5xx', 'bad'], ['6xx', 'muted']];

function seen(metrics) {
  return ANSWERS.filter(([name]) => name === '2xx' || metrics[`answers_${name}`].some((value) => value > 0));
}

function Charts({metrics}) {
  const data = useMemo(() => metrics && {
    messages: [metrics.time, metrics.messages_in, metrics.messages_out],
    answers: [metrics.time, ...seen(metrics).map(([name]) => metrics[`answers_${name}`])],
    times: [metrics.time, metrics.p50, metrics.p95],
    load: [metrics.time, metrics.transactions, metrics.flows],
  }, [metrics]);
  if (!data) return html`<div class="charts">${[1, 2, 3].map((n) => html`<div class="card chart-card" key=${n}><div class="card-body"><${Busy} /></div></div>`)}</div>`;
  if (data.messages[0].length < 2) {
    return html`<${Card}><${Empty} icon="chart" title=${t('Charts begin in a moment')} text=${t('A sample is taken each second while the console runs.')} /><//>`;
  }
  const seconds = (value) => fmt.duration(value);
  return html`<div class="charts">
    <${Card} title=${t('Messages per second')} class="chart-card"><${Chart} label=${t('Messages per second')} height=${150} data=${data.messages}
      series=${[{label: t('in'), kind: 'accent', fill: true}, {label: t('out'), kind: 'info'}]} /><//>
    <${Card} title=${t('Answers per second')} class="chart-card"><${Chart} label=${t('Answers per second')} height=${150} data=${data.answers} stack
      series=${seen(metrics).map(([label, kind]) => ({label, kind}))} /><//>
    <${Card} title=${t('Time to the final answer')} class="chart-card"><${Chart} label=${t('Time to the final answer')} height=${150} data=${data.times} format=${seconds}
      series=${[{label: t('half are faster (p50)'), kind: 'accent'}, {label: t('95 of 100 are (p95)'), kind: 'warn'}]} /><//>
    <${Card} title=${t('Under way')} class="chart-card"><${Chart} label=${t('Under way')} height=${150} data=${data.load} format=${fmt.rate}
      series=${[{label: t('transactions'), kind: 'accent', fill: true}, {label: t('connections'), kind: 'info'}]} /><//>
  </div>`;
}

// ---------------------------------------------------------------- what there is

function Interfaces({status}) {
  const columns = [
    {id: 'name', title: t('Interface'), sort: true, render: ({name}) => html`<strong>${name}</strong>`},
    {id: 'place', title: t('Address'), mono: true, render: (one) => `${one.protocol} ${one.address ?? one.bind}:${one.port ?? one.configured_port}`},
    {id: 'state', title: t('State'), sort: true, render: ({state, reason}) => {
      const known = {listening: ['ok', t('listens')], failed: ['bad', t('failed')], off: ['off', t('off')], starting: ['busy', t('starting')], draining: ['busy', t('ending')]};
      const [kind, text] = known[state] ?? ['info', state];
      return html`<${Badge} kind=${kind} text=${text} title=${reason} />`;
    }},
    {id: 'messages_in', title: t('In'), align: 'right', sort: true, render: ({messages_in: n}) => fmt.number(n)},
    {id: 'messages_out', title: t('Out'), align: 'right', sort: true, render: ({messages_out: n}) => fmt.number(n)},
    {id: 'flows', title: t('Conn.'), align: 'right', sort: true, hide: 'narrow', render: ({flows}) => fmt.number(flows)},
  ];
  return html`<${Card} title=${t('Interfaces')} icon="plug" flush class="column-wide"
      actions=${html`<${Button} small kind="ghost" icon="arrowright" onClick=${() => navigate('interfaces')}>${t('All')}<//>`}>
    <${Table} label=${t('Interfaces')} rows=${status.interfaces} columns=${columns} keyOf=${({name}) => name}
      onOpen=${({name}) => navigate('interfaces', {name})}
      empty=${{icon: 'plug', title: t('No interface is configured'), text: t('Without one, nothing comes in.'),
    action: html`<${Button} onClick=${() => navigate('interfaces')}>${t('Add one')}<//>`}} /><//>`;
}

function Partners() {
  const {state, error} = useTopic('partners');
  const {state: routes} = useTopic('routes');
  const found = (state?.partners ?? []).map((one) => ({domain: one.domain, way: t('open'), inwards: one.messages_in,
    outwards: one.messages_out, last: one.last, flows: one.flows?.length ?? 0}));
  for (const one of routes?.routes ?? []) {
    if (one.enabled) found.push({domain: one.domain, way: t('route'), inwards: null, outwards: null, last: null, flows: null, trusted: one.trusted});
  }
  found.sort((a, b) => (b.last ?? 0) - (a.last ?? 0));
  const columns = [
    {id: 'domain', title: t('Domain'), sort: true, render: ({domain}) => html`<strong>${domain}</strong>`},
    {id: 'way', title: t('Way'), sort: true},
    {id: 'inwards', title: t('In'), align: 'right', sort: true, render: ({inwards}) => fmt.number(inwards)},
    {id: 'outwards', title: t('Out'), align: 'right', sort: true, render: ({outwards}) => fmt.number(outwards)},
    {id: 'last', title: t('Last'), sort: true, hide: 'narrow', render: ({last: when}) => fmt.ago(when)},
  ];
  const off = error && !routes;
  return html`<${Card} title=${t('Partners')} icon="people" flush class="column-wide"
      actions=${html`<${Button} small kind="ghost" icon="arrowright" onClick=${() => navigate('partners')}>${t('All')}<//>`}>
    ${!state && !error ? html`<${Busy} />` : html`<${Table} label=${t('Partners')} rows=${found.slice(0, 8)} columns=${columns}
      keyOf=${({domain, way}) => `${domain} ${way}`} onOpen=${({domain, way}) => navigate(way === t('route') ? 'routes' : 'partners', {domain})}
      empty=${{icon: 'people', title: t('No partner yet'), text: off ? t('Open federation and static routes are off.')
    : t('Whoever is federated with stands here.')}} />`}<//>`;
}

function Certificates({status}) {
  const list = [...status.certificates].sort((a, b) => (a.days_left ?? -1) - (b.days_left ?? -1));
  const ending = list.filter(({days_left: left, error}) => error || left === null || left <= SOON);
  const shown = ending.length ? ending : list.slice(0, 3);
  return html`<${Card} title=${t('Certificates')} icon="certificate"
      actions=${html`<${Button} small kind="ghost" icon="arrowright" onClick=${() => navigate('certificates')}>${t('All')}<//>`}>
    ${!list.length && html`<${Empty} icon="certificate" title=${t('No certificate')} text=${t('TLS and open federation need one.')} />`}
    ${list.length > 0 && html`<ul class="findings">${shown.map(({name, subject, days_left: left, not_after: until, error}) => {
    const [kind, text] = error ? ['bad', t('not usable')] : left < 0 ? ['bad', t('expired')] : left <= SOON ? ['warn', t('{n} days left', {n: left})] : ['ok', t('{n} days left', {n: left})];
    return html`<li key=${name}><${Badge} kind=${kind} text=${text} /><span><a href=${href('certificates', {name})}>${name}</a>
      <span class="muted"> ${error || subject}${until && !error && `, ${t('until {date}', {date: fmt.date(Date.parse(until) / 1000)})}`}</span></span></li>`;
  })}</ul>
    ${!ending.length && html`<p class="muted">${t('None ends within {n} days.', {n: SOON})}</p>`}`}<//>`;
}

function Public({status}) {
  const {state: stun} = useTopic('stun');
  const {used, setting, addresses, found} = status.public;
  const places = Object.entries(found ?? {});
  return html`<${Card} title=${t('Public address')} icon="globe"
      actions=${html`<${Button} small kind="ghost" icon="arrowright" onClick=${() => navigate('wan')}>WAN<//>`}>
    <${KeyValue} rows=${[
    [t('In messages'), used ? html`<${Badge} kind="ok" text=${t('written')} />` : html`<${Badge} kind="off" text=${t('not used')} />`],
    [t('Setting'), setting, {mono: true}],
    used && [t('Stands for'), addresses.join(', ') || t('nothing yet'), {mono: true}],
    ...places.map(([bind, address]) => [t('Found at {bind}', {bind}), address, {mono: true}]),
    stun?.nat_type && [t('NAT'), stun.nat_type],
  ]} /><//>`;
}

function Refused({status}) {
  const list = [...Object.entries(status.refused), ...Object.entries(status.dropped)].filter(([, n]) => n > 0)
    .sort(([, a], [, b]) => b - a).slice(0, 6);
  if (!list.length) return null;
  return html`<${Card} title=${t('Refused since the start')} icon="shield">
    <${KeyValue} rows=${list.map(([reason, n]) => [reason, fmt.number(n)])} /><//>`;
}

registerPage({id: 'overview', title: 'Overview', group: 'watch', order: 10, icon: 'gauge', Page: OverviewPage,
  help: 'operations', command: 'sipx status'});
