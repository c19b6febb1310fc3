// Dialogs: calls, chats, presence subscriptions and registrations, each on both sides of sipx.

import {Badge, Command, Page, Table, fmt, hooks, html, navigate, registerPage, route, t, useNow, useTopic} from 'sipx';
import {LadderPane, MessagePane} from '../parts/live/detail.js';
import {FilterBox} from '../parts/live/filter.js';
import {Counts, Fresh, Split, useFill, useHeld, useKept, useKeys, useSignal} from '../parts/live/layout.js';
import {clock, dialogKind, uriShort} from '../parts/live/words.js';

const {useEffect, useRef, useState} = hooks;

const KINDS = ['', 'call', 'chat', 'presence', 'registration', 'options', 'other'];
const LIMIT = 500;

const stateName = state => ({
  trying: t('trying'),
  ringing: t('ringing'),
  established: t('established'),
  ended: t('ended'),
  failed: t('failed'),
  answered: t('answered'),
}[state] ?? state);
const STATE_KIND = {trying: 'busy', ringing: 'info', established: 'ok', ended: 'off', failed: 'bad', answered: 'ok'};
const running = dialog => dialog.ended === null && ['trying', 'ringing', 'established'].includes(dialog.state);

const Leg = ({leg}) => html`<span class="dlg-leg" title=${`${leg.peer ? `${leg.peer} · ` : ''}${leg.interface} · ${(leg.transport ?? '').toUpperCase()} · ${leg.local} ↔ ${leg.remote}`}>
  <span class=${`live-leg l-${leg.leg % 6}`}>${leg.direction === 'in' ? '↘' : '↗'}${leg.leg}</span><span class="dlg-peer">${leg.peer || leg.remote}</span></span>`;

function Dialogs() {
  const {params = {}} = useSignal(route);
  const filter = params.filter ?? '';
  const kind = KINDS.includes(params.kind) ? params.kind : '';
  const id = params.id ?? '';
  const fill = useFill();
  const {state, error} = useTopic('dialogs', {filter, kind, limit: LIMIT});
  const [seq, setSeq] = useState(null);
  const [tab, setTab] = useState('text');
  const [mode] = useKept('sipx.live.split', 'beside');
  const filterInput = useRef(null);
  const dialogs = state?.dialogs ?? [];
  const held = useHeld(dialogs, one => one.id, `${kind} ${filter}`);
  const now = useNow(1);
  const chosen = dialogs.find(one => one.id === id) ?? null;
  const go = next => navigate('dialogs', Object.fromEntries(Object.entries({filter, kind, id, ...next}).filter(([, value]) => value)));

  useEffect(() => { setSeq(null); setTab('text'); }, [id]);
  const move = by => {
    if (!dialogs.length) return;
    const index = dialogs.findIndex(one => one.id === id);
    go({id: dialogs[Math.min(dialogs.length - 1, Math.max(0, index < 0 ? 0 : index + by))].id});
  };
  useKeys('dialogs', [
    ['/', t('filter'), event => { event?.preventDefault?.(); filterInput.current?.focus(); }],
    ['j', t('next'), () => move(1)],
    ['k', t('previous'), () => move(-1)],
    ['l', t('show in Live'), () => { if (chosen) navigate('live', {filter: `callid:${chosen.call_id}`}); }],
    ['Escape', t('leave'), () => (seq === null ? go({id: ''}) : setSeq(null))],
  ]);

  const length = one => (running(one) && one.state === 'established' ? Math.max(one.duration, now - one.started) : one.duration);
  const columns = [
    {id: 'state', title: t('State'), width: '7.5rem', sort: one => one.state, render: one => html`<${Badge} kind=${STATE_KIND[one.state] ?? 'info'} text=${stateName(one.state)} />`},
    {id: 'kind', hide: 'narrow', title: t('Kind'), width: '7rem', sort: one => one.kind, render: one => html`${dialogKind(one.kind)}`},
    {id: 'from', title: t('From'), mono: true, sort: one => one.from_uri, render: one => html`<span title=${one.from_uri}>${uriShort(one.from_uri)}</span>`},
    {id: 'to', title: t('To'), mono: true, sort: one => one.to_uri, render: one => html`<span title=${one.to_uri}>${uriShort(one.to_uri)}</span>`},
    {id: 'status', hide: 'narrow', title: t('Status'), align: 'right', width: '4rem', sort: one => one.status, render: one => (one.status ? html`<b class=${`c-${Math.floor(one.status / 100)}xx`}>${one.status}</b>` : '–')},
    {id: 'messages', hide: 'narrow', title: t('Messages'), align: 'right', width: '5rem', sort: one => one.messages, render: one => html`${one.messages}${one.retransmissions ? html` <span class="live-tag t-again" title=${t('{count} retransmissions', {count: one.retransmissions})}>↻ ${one.retransmissions}</span>` : null}`},
    {id: 'started', hide: kind ? 'narrow' : 'mid', title: t('Started'), align: 'right', width: '6.5rem', sort: one => one.started, render: one => clock(one.started).slice(0, 8)},
    {id: 'duration', hide: 'narrow', title: t('Duration'), align: 'right', width: '6rem', sort: one => one.duration, render: one => fmt.duration(length(one))},
    {id: 'legs', hide: 'narrow', title: t('Legs'), render: one => html`<span class="dlg-legs">${one.legs.map(leg => html`<${Leg} key=${leg.leg} leg=${leg} />`)}</span>`},
  ];
  const wide = kind ? columns.filter(column => column.id !== 'kind') : columns;
  const shown = chosen ? wide.filter(column => mode !== 'beside' || !['legs', 'messages', 'started', 'status'].includes(column.id)) : wide;
  const empty = filter || kind
    ? {level: 2, title: t('Nothing matches.'), text: t('No dialog has a message that matches the filter.')}
    : {level: 2, title: t('No dialogs yet.'), text: t('Calls, chats and subscriptions appear here as they begin.')};
  const list = html`
    <div class=${`dlg-list${chosen ? ' is-split' : ''}`} onPointerMove=${held.onPointerMove} onPointerLeave=${held.onPointerLeave}>
      <${Fresh} held=${held} />
      ${error ? html`<p class="live-pane-note" role="status"><span aria-hidden="true">✕</span> ${error.message}</p>` : null}
      <${Table} columns=${shown} label=${t('Dialogs')} rows=${held.rows} keyOf=${one => one.id} selected=${id} onOpen=${one => go({id: one.id})} empty=${empty} />
      ${dialogs.length >= LIMIT ? html`<p class="live-pane-note">${t('The newest {count} are shown; a filter finds the others.', {count: LIMIT})}</p>` : null}
    </div>`;
  const close = html`<button type="button" class="live-btn b-ghost is-small" aria-label=${t('Close the details')} title=${t('Close (Esc)')} onClick=${() => go({id: ''})}>✕</button>`;
  const live = chosen ? html`<button type="button" class="live-btn b-ghost is-small" onClick=${() => navigate('live', {filter: `callid:${chosen.call_id}`})}>${t('In Live')}</button>` : null;
  const detail = id ? html`
    <div class="live-both">
      <${LadderPane} params=${{dialog: id, capture: ''}} again=${chosen?.last_seq ?? 0} active=${seq} selected=${new Set()} capture="" dialog=${id}
        onSelect=${setSeq} onOpen=${() => setTab('text')} actions=${html`${live}${close}`} />
      ${seq === null ? null : html`<${MessagePane} seq=${seq} capture="" tab=${tab} onTab=${setTab} pair=${null} again=${0}
        onFilter=${part => navigate('live', {filter: `header.${part.name}:*`})} />`}
    </div>` : null;
  const kindName = one => (one === '' ? t('All') : {
    call: t('Calls'), chat: t('Chats'), presence: t('Subscriptions'), registration: t('Registrations'), options: t('Keep-alives'), other: t('Others'),
  }[one]);

  return html`
    <${Page} title=${t('Dialogs')} wide help="monitor" actions=${html`<span class="live-command"><${Command} text="sipx monitor --dialogs" /></span>`}>
      <div class="live" ref=${fill}>
        <div class="live-tools">
          <div class="live-kinds" role="group" aria-label=${t('Kind')}>
            ${KINDS.map(one => html`<button type="button" key=${one} class="live-kind" aria-pressed=${one === kind ? 'true' : 'false'} onClick=${() => go({kind: one, id: ''})}>${kindName(one)}</button>`)}
          </div>
          <${FilterBox} value=${filter} onChange=${text => go({filter: text})} inputRef=${filterInput} />
        </div>
        <${Split} mode=${mode} kept="sipx.dialogs.share" start=${46} first=${list} second=${detail} />
        <${Counts} text=${t('{count} dialogs', {count: dialogs.length})} />
      </div>
    <//>`;
}

registerPage({id: 'dialogs', title: 'Dialogs', group: 'watch', order: 30, icon: 'chat', Page: Dialogs, help: 'monitor', command: 'sipx monitor --dialogs'});
