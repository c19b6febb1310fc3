// Transactions: those that run now, with their state machines, timers, branches and decisions.

import {Badge, Button, Command, Page, Table, call, fmt, hooks, html, navigate, registerPage, route, t, useTopic} from 'sipx';
import {Decision} from '../parts/live/decision.js';
import {Asked, useAsked} from '../parts/live/detail.js';
import {Counts, Fresh, Split, useFill, useHeld, useKept, useKeys, useSignal} from '../parts/live/layout.js';
import {Machine, Timers} from '../parts/live/machine.js';
import {seconds, uriShort} from '../parts/live/words.js';

const {useEffect, useRef, useState} = hooks;

const EVERY = 1000;
const STATE_KIND = {Calling: 'busy', Trying: 'busy', Proceeding: 'info', Accepted: 'ok', Completed: 'ok', Confirmed: 'ok', Terminated: 'off'};

const StateBadge = ({state}) => html`<${Badge} kind=${STATE_KIND[state] ?? 'busy'} text=${state} />`;

// One transaction, asked for each second while it runs; the last that was seen stays when it has ended.
function useTransaction(id) {
  const [found, set] = useState({state: null, ended: false, error: null, at: 0});
  useEffect(() => {
    set({state: null, ended: false, error: null, at: 0});
    if (!id) return undefined;
    let over = false;
    let timer = 0;
    const ask = async () => {
      try {
        const state = await call('transactions.show', {id});
        if (over) return;
        set({state, ended: false, error: null, at: performance.now()});
      } catch (error) {
        if (over) return;
        set(old => ({...old, ended: old.state !== null, error: old.state === null ? error : null}));
        if (error.code !== 'link') return;
      }
      timer = setTimeout(ask, EVERY);
    };
    ask();
    return () => { over = true; clearTimeout(timer); };
  }, [id]);
  return found;
}

function Branch({branch, number}) {
  return html`
    <li class="tx-branch">
      <div class="tx-branch-head"><b>${t('Branch {number}', {number})}</b> <${StateBadge} state=${branch.state} />
        ${branch.answer ? html`<b class=${`c-${Math.floor(branch.answer / 100)}xx`}>${branch.answer}</b>` : null}
        ${branch.cancelled ? html`<span class="live-tag t-bad">${t('cancelled')}</span>` : null}</div>
      <dl class="dec-facts">
        <div><dt>${t('Target')}</dt><dd>${branch.target || '–'}</dd></div>
        <div><dt>URI</dt><dd class="live-mono">${branch.uri || '–'}</dd></div>
        <div><dt>${t('Hop')}</dt><dd class="live-mono">${branch.hop || '–'}${branch.hops_left ? html` <span class="live-muted">${t('{count} more to try', {count: branch.hops_left})}</span>` : null}</dd></div>
        ${branch.branch ? html`<div><dt>Via branch</dt><dd class="live-mono">${branch.branch}</dd></div>` : null}
      </dl>
      <${Timers} timers=${branch.timers} />
    </li>`;
}

function Detail({id, close}) {
  const {state, ended, error} = useTransaction(id);
  const why = useAsked('monitor.decision', state?.branch ? {transaction: state.branch, capture: ''} : null, {again: state?.state ?? 0});
  if (error) return html`<section class="live-pane"><header class="live-pane-head"><h2>${id}</h2><span class="live-push"></span>${close}</header>
    <p class="live-pane-note" role="status"><span aria-hidden="true">✕</span> ${error.message}</p></section>`;
  if (!state) return html`<section class="live-pane"><header class="live-pane-head"><h2>${id}</h2><span class="live-push"></span>${close}</header></section>`;
  return html`
    <section class="live-pane tx">
      <header class="live-pane-head"><h2>${state.method} <span class="live-mono live-muted">${state.id}</span></h2>
        ${ended ? html`<${Badge} kind="off" text=${t('has ended')} />` : html`<${StateBadge} state=${state.state} />`}
        ${state.cancelled ? html`<span class="live-tag t-bad">${t('cancelled')}</span>` : null}
        <span class="live-push"></span>
        ${state.call_id ? html`<button type="button" class="live-btn b-ghost is-small" onClick=${() => navigate('live', {filter: `callid:${state.call_id}`})}>${t('In Live')}</button>` : null}${close}</header>
      <div class="tx-body" tabindex="0" role="region" aria-label=${t('Transaction {id}', {id: state.id})}>
        <${Machine} kind=${state.kind} method=${state.method} state=${ended ? 'Terminated' : state.state} />
        <h3>${t('Timers')}</h3>
        ${ended ? html`<p class="live-muted">${t('It has ended: no timer runs.')}</p>` : html`<${Timers} timers=${state.timers} />`}
        <h3>${t('Facts')}</h3>
        <dl class="dec-facts">
          ${[[t('Request'), state.uri && `${state.method} ${state.uri}`], [t('From'), state.from_uri], [t('To'), state.to_uri], ['Call-ID', state.call_id], ['CSeq', state.cseq],
            ['Via branch', state.branch], [t('Sender'), state.sender], [t('Interface'), state.interface], [t('Connection'), state.flow],
            [t('Age'), state.age === null ? '' : seconds(state.age)]]
            .filter(([, value]) => value).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd class="live-mono">${value}</dd></div>`)}
        </dl>
        <h3>${t('Branches')}</h3>
        ${state.tried.length === 0 ? html`<p class="live-muted">${t('Nothing was sent on.')}</p>` : html`<ol class="tx-branches">${state.tried.map((branch, index) => html`<${Branch} key=${branch.branch || index} branch=${branch} number=${index + 1} />`)}</ol>`}
        ${state.waiting_targets ? html`<p class="live-muted">${t('{count} further targets wait', {count: state.waiting_targets})}</p>` : null}
        <h3>${t('Why was this routed there?')}</h3>
        <${Asked} found=${why} none=${html`<p class="live-muted">${t('No decision is kept.')}</p>`}>${found => html`<${Decision} decision=${found} />`}<//>
      </div>
    </section>`;
}

function Transactions() {
  const {params = {}} = useSignal(route);
  const id = params.id ?? '';
  const fill = useFill();
  const [finished, setFinished] = useKept('sipx.transactions.finished', false);
  const {state, error} = useTopic('transactions', {limit: 500, finished});
  const [wanted, setWanted] = useState('');
  const [problem, setProblem] = useState('');
  const [mode] = useKept('sipx.live.split', 'beside');
  const input = useRef(null);
  const rows = state?.transactions ?? [];
  const held = useHeld(rows, one => one.id, String(finished));
  const go = next => navigate('transactions', next ? {id: next} : {});
  const find = async event => {
    event.preventDefault();
    if (wanted.trim().length < 3) {
      setProblem(t('At least three characters of an id or a branch'));
      return;
    }
    try {
      const found = await call('transactions.show', {id: wanted.trim()});
      setProblem('');
      go(found.id);
    } catch (refused) {
      setProblem(refused.message);
    }
  };
  const move = by => {
    if (!rows.length) return;
    const index = rows.findIndex(one => one.id === id);
    go(rows[Math.min(rows.length - 1, Math.max(0, index < 0 ? 0 : index + by))].id);
  };
  useKeys('transactions', [
    ['/', t('find'), event => { event?.preventDefault?.(); input.current?.focus(); }],
    ['j', t('next'), () => move(1)],
    ['k', t('previous'), () => move(-1)],
    ['Escape', t('leave'), () => go('')],
  ]);
  const columns = [
    {id: 'id', title: 'ID', mono: true, width: '7rem', render: one => one.id},
    {id: 'kind', hide: 'narrow', title: t('Kind'), width: '6rem', sort: one => one.kind, render: one => (one.kind === 'server' ? t('came in') : t('own'))},
    {id: 'method', title: t('Method'), width: '7rem', sort: one => one.method, render: one => html`<b class="c-request">${one.method}</b>`},
    {id: 'state', title: t('State'), width: '8rem', sort: one => one.state, render: one => (one.gone ? html`<${Badge} kind="off" text=${t('has ended')} />` : html`<${StateBadge} state=${one.state} />`)},
    {id: 'uri', hide: 'narrow', title: 'Request-URI', mono: true, sort: one => one.uri, render: one => html`<span title=${one.uri}>${uriShort(one.uri) || '–'}</span>`},
    {id: 'flow', hide: 'narrow', title: t('Connection'), mono: true, sort: one => one.flow, render: one => one.flow || '–'},
    {id: 'branches', hide: 'narrow', title: t('Branches'), align: 'right', width: '5rem', sort: one => one.branches, render: one => one.branches},
    {id: 'age', title: t('Age'), align: 'right', width: '5rem', sort: one => one.age ?? 0, render: one => (one.age === null ? '–' : seconds(one.age))},
  ];
  const shown = id && mode === 'beside' ? columns.filter(column => !['flow', 'branches', 'kind'].includes(column.id)) : columns;
  const close = html`<button type="button" class="live-btn b-ghost is-small" aria-label=${t('Close the details')} title=${t('Close (Esc)')} onClick=${() => go('')}>✕</button>`;
  const list = html`
    <div class=${`dlg-list${id ? ' is-split' : ''}`} onPointerMove=${held.onPointerMove} onPointerLeave=${held.onPointerLeave}>
      <${Fresh} held=${held} />
      ${error ? html`<p class="live-pane-note" role="status"><span aria-hidden="true">✕</span> ${error.message}</p>` : null}
      <${Table} label=${t('Transactions')} columns=${shown} rows=${held.rows} marks=${one => one.gone && 'dlg-gone'} keyOf=${one => one.id} selected=${id} onOpen=${one => go(one.id)}
        empty=${{level: 2, title: t('Nothing is under way.'), text: t('Transactions last from a request to its final answer; most of them a few milliseconds.')}} />
    </div>`;
  return html`
    <${Page} title=${t('Transactions')} wide help="monitor" actions=${html`<span class="live-command"><${Command} text=${id ? `sipx transactions ${id}` : 'sipx transactions'} /></span>`}>
      <div class="live" ref=${fill}>
        <div class="live-tools">
          <form class="tx-find" role="search" onSubmit=${find}>
            <input type="search" ref=${input} value=${wanted} placeholder=${t('Id or Via branch')} aria-label=${t('Find a transaction by its id or Via branch')} spellcheck="false" onInput=${event => { setWanted(event.target.value); setProblem(''); }} />
            <${Button} kind="plain" onClick=${find}>${t('Find')}<//>
          </form>
          <label class="live-check"><input type="checkbox" checked=${finished} onChange=${event => setFinished(event.target.checked)} /> ${t('Also those that only wait for retransmissions')}</label>
          <span class="live-push"></span>
          ${state ? html`<span class="live-fact"><b class="live-num">${fmt.number(state.total)}</b> ${t('running')}</span>
            <span class="live-fact"><b class="live-num">${fmt.number(state.finished)}</b> ${t('finished')}</span>` : null}
        </div>
        ${problem ? html`<p class="live-problem" role="alert"><span aria-hidden="true">✕</span> ${problem}</p>` : null}
        <${Split} mode=${mode} kept="sipx.dialogs.share" start=${46} first=${list} second=${id ? html`<${Detail} id=${id} close=${close} />` : null} />
        <${Counts} text=${t('{count} transactions', {count: rows.length})} />
      </div>
    <//>`;
}

registerPage({id: 'transactions', title: 'Transactions', group: 'watch', order: 40, icon: 'swap', Page: Transactions, help: 'monitor', command: 'sipx transactions'});
