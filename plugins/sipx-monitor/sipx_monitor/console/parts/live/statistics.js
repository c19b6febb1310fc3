// Statistics: what the proxy does per second, and what the messages shown here are.

import {Chart, fmt, hooks, html, t, useTopic} from 'sipx';
import {SIGNS, classOf, seconds} from './words.js';

const {useEffect, useState} = hooks;

export function counted(rows) {
  const methods = new Map();
  const answers = new Map();
  const peers = new Map();
  const rtts = [];
  let again = 0;
  let malformed = 0;
  let missing = 0;
  const add = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
  for (const m of rows) {
    if (m.missing) { missing += m.dropped ?? 0; continue; }
    if (m.status) add(answers, m.status); else add(methods, m.method || '?');
    if (m.retransmission) again += 1;
    if (m.malformed) malformed += 1;
    if (m.rtt !== null && m.rtt !== undefined) rtts.push(m.rtt);
    add(peers, m.peer || m.remote);
  }
  rtts.sort((a, b) => a - b);
  const at = share => (rtts.length ? rtts[Math.min(rtts.length - 1, Math.floor(rtts.length * share))] : null);
  const most = map => [...map].sort((a, b) => b[1] - a[1]);
  return {methods: most(methods), answers: [...answers].sort((a, b) => a[0] - b[0]), peers: most(peers).slice(0, 8), again, malformed, missing, p50: at(0.5), p95: at(0.95), total: rows.length};
}

const Bars = ({title, rows, name, cls, onPick}) => {
  const top = Math.max(1, ...rows.map(([, n]) => n));
  return html`<section class="stat-block"><h3>${title}</h3>
    ${rows.length === 0 ? html`<p class="live-muted">${t('none')}</p>` : null}
    <ul class="stat-bars">${rows.map(([key, n]) => html`<li key=${key}>
      <button type="button" class="stat-bar" onClick=${() => onPick(key)}>
        <span class=${`stat-name ${cls ? `c-${cls(key)}` : ''}`}>${name ? name(key) : key}</span>
        <span class="stat-track" aria-hidden="true"><span class=${`stat-fill ${cls ? `b-${cls(key)}` : ''}`} style=${{width: `${(n / top) * 100}%`}}></span></span>
        <span class="stat-n live-num">${fmt.number(n)}</span></button></li>`)}</ul></section>`;
};

export function Statistics({store, onFilter}) {
  const [numbers, set] = useState(() => counted(store.rows));
  const metrics = useTopic('metrics', {});
  useEffect(() => {
    const timer = setInterval(() => set(counted(store.rows)), 1000);
    return () => clearInterval(timer);
  }, [store]);
  const rates = metrics.state;
  return html`
    <div class="stat" tabindex="0" role="region" aria-label=${t('Statistics')}>
      ${rates?.time?.length > 1 ? html`<section class="stat-block stat-chart"><h3>${t('Messages per second')}</h3>
        <${Chart} label=${t('Messages per second')} height=${120} unit="/s" series=${[{label: t('in'), kind: 'info'}, {label: t('out'), kind: 'ok'}]}
          data=${[rates.time, rates.messages_in, rates.messages_out]} /></section>` : null}
      <dl class="stat-facts">
        <div><dt>${t('Shown here')}</dt><dd>${fmt.number(numbers.total)}</dd></div>
        <div><dt>${t('Response time p50')}</dt><dd>${seconds(numbers.p50) || '–'}</dd></div>
        <div><dt>p95</dt><dd>${seconds(numbers.p95) || '–'}</dd></div>
        <div><dt>${t('Retransmissions')}</dt><dd>${fmt.number(numbers.again)}</dd></div>
        <div><dt>${t('Malformed')}</dt><dd>${fmt.number(numbers.malformed)}</dd></div>
        <div><dt>${t('Dropped')}</dt><dd>${fmt.number(numbers.missing)}</dd></div>
      </dl>
      <div class="stat-columns">
        <${Bars} title=${t('Requests')} rows=${numbers.methods} onPick=${key => onFilter(`method:${key}`)} />
        <${Bars} title=${t('Answers')} rows=${numbers.answers} cls=${classOf} name=${key => html`<span aria-hidden="true">${SIGNS[classOf(key)]} </span>${key}`} onPick=${key => onFilter(`code:${key}`)} />
        <${Bars} title=${t('Peers')} rows=${numbers.peers} onPick=${key => onFilter(/^[\d[]/.test(key) ? `ip:${key.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')}` : `partner:${key}`)} />
      </div>
    </div>`;
}

