// Live: every message as it flows, and what sipx made of it.

import {Button, Command, Page, call, can, columns as added, copy as copyText, failed, fmt, hooks, html, navigate, registerPage, route, t, toast, useTopic} from 'sipx';
import {COLUMNS, foreign} from '../parts/live/columns.js';
import {LadderPane, MessagePane, whole} from '../parts/live/detail.js';
import {ExportForm, openFile} from '../parts/live/export.js';
import {FilterBox} from '../parts/live/filter.js';
import {Counts, Split, useFill, useKept, useKeys, useSignal} from '../parts/live/layout.js';
import {VirtualList, useStore} from '../parts/live/list.js';
import {MarkDialog} from '../parts/live/marks.js';
import {Item, Menu} from '../parts/live/menu.js';
import {Messages} from '../parts/live/messages.js';
import {Recording, clearAll} from '../parts/live/recording.js';
import {Statistics} from '../parts/live/statistics.js';
import {titleOf} from '../parts/live/words.js';

const {useEffect, useMemo, useRef, useState} = hooks;

function Live() {
  const {params = {}} = useSignal(route);
  const filter = params.filter ?? '';
  const capture = params.capture ?? '';
  const store = useMemo(() => new Messages(), []);
  useStore(store);
  const fill = useFill();
  const monitor = useTopic('monitor', {});
  const [active, setActive] = useState(params.seq ? Number(params.seq) : null);
  const [selected, setSelected] = useState(() => new Set());
  const [follow, setFollow] = useState(!params.seq);
  const [panel, setPanel] = useState(params.seq ? 'message' : '');
  const [tab, setTab] = useState('text');
  const [pair, setPair] = useState(null);
  const [marking, setMarking] = useState(null);
  const [dropping, setDropping] = useState(false);
  const [again, setAgain] = useState(0);
  const [mode, setMode] = useKept('sipx.live.split', 'beside');
  const [hiddenIds, setHidden] = useKept('sipx.live.hidden', COLUMNS().filter(column => column.off).map(column => column.id));
  const filterInput = useRef(null);
  const fileInput = useRef(null);
  const openExport = useRef(null);
  const since = useRef(0);

  // The heads change with the language, which comes a moment after it was chosen.
  const columns = useMemo(() => [...COLUMNS(), ...added.value.map(foreign)], [added.value, t('Time')]);
  const hidden = useMemo(() => new Set(hiddenIds), [hiddenIds]);
  const go = next => navigate('live', Object.fromEntries(Object.entries({filter, capture, ...next}).filter(([, value]) => value)));
  const opened = capture ? monitor.state?.captures?.find(one => one.id === capture) ?? {id: capture, name: capture} : null;

  useEffect(() => {
    store.open({filter, capture});
    setSelected(new Set());
    setPair(null);
    return () => store.close();
  }, [filter, capture]);

  // Somebody else has cleared what is recorded.
  const first = monitor.state?.first ?? 0;
  useEffect(() => {
    const last = store.rows.at(-1);
    if (last && !capture && !filter && !store.paused && first > last.seq) store.forget();
  }, [first]);

  const row = active === null ? null : store.get(active);
  const kept = useRef(null);
  if (row) kept.current = row;
  const chosen = active === null ? null : row ?? (kept.current?.seq === active ? kept.current : null);
  const dialog = chosen?.dialog ?? '';
  useEffect(() => { store.watching = capture ? '' : dialog; }, [dialog, capture]);
  useEffect(() => {
    const timer = setTimeout(() => setAgain(store.touched), 400);
    return () => clearTimeout(timer);
  }, [store.touched]);

  const ladder = useMemo(() => {
    if (active === null) return null;
    return dialog ? {dialog, capture} : {seqs: [active], capture};
  }, [active === null, dialog, dialog ? '' : active, capture]);

  const followNow = on => {
    if (!on) since.current = store.arrived;
    setFollow(on);
  };
  const choose = seq => {
    if (follow) followNow(false);
    setActive(seq);
    setPair(null);
    if (tab === 'diff') setTab('text');
    if (panel !== 'message') setPanel(panel === 'stats' && window.innerWidth < 900 ? panel : 'message');
  };
  const move = (by, to) => {
    const rows = store.rows;
    if (!rows.length) return;
    let index = to ?? (active === null ? (by > 0 ? rows.length - 1 : rows.length) : store.indexOf(active)) + (to === undefined ? by : 0);
    index = Math.min(rows.length - 1, Math.max(0, index));
    const step = by >= 0 ? 1 : -1;
    while (rows[index]?.missing) index += step;
    if (!rows[index]) return;
    if (follow) followNow(false);
    setActive(rows[index].seq);
    setPair(null);
    if (tab === 'diff') setTab('text');
  };
  const toggle = (seqs, add = false) => setSelected(old => {
    const next = new Set(old);
    for (const seq of seqs) if (next.has(seq) && !add) next.delete(seq); else next.add(seq);
    return next;
  });
  const within = async step => {
    if (!ladder) return;
    try {
      const found = await call('monitor.ladder', ladder);
      const at = found.steps.findIndex(one => one.seq === active);
      const next = found.steps[at + step];
      if (next) choose(next.seq);
    } catch (error) {
      failed(error);
    }
  };
  const chosenSeqs = selected.size ? [...selected].sort((a, b) => a - b) : active === null ? [] : [active];
  const compare = () => {
    const two = [...new Set([...selected, ...(selected.size < 2 && active !== null ? [active] : [])])].sort((a, b) => a - b);
    if (two.length === 2) {
      setPair(two);
      setTab('diff');
      if (active === null) setActive(two[1]);
      setPanel('message');
    } else toast(t('Select two messages with Space, then press d'));
  };
  const copy = async () => {
    if (active === null) return;
    try {
      const found = await call('monitor.message', {seq: active, capture});
      await copyText(whole(found));
      toast(t('Message {seq} copied', {seq: active}));
    } catch (error) {
      failed(error);
    }
  };
  const show = wanted => {
    if (active === null) move(1);
    setPanel('message');
    setTab(wanted);
  };
  const pause = () => { if (store.loaded && !capture) store.pause(!store.paused); };
  const leave = () => {
    if (panel) setPanel('');
    else if (selected.size) setSelected(new Set());
    else setActive(null);
  };
  const mark = () => {
    if (!chosenSeqs.length) return;
    setMarking(chosenSeqs);
  };

  useKeys('live', [
    ['/', t('filter'), event => { event?.preventDefault?.(); filterInput.current?.focus(); filterInput.current?.select(); }],
    ['Enter', t('ladder'), () => show('text')],
    [' ', t('select'), () => { if (active !== null) toggle([active]); }],
    ['d', t('difference'), compare],
    ['x', t('changes'), () => show('changes')],
    ['w', t('why'), () => show('why')],
    ['p', t('pause'), pause],
    ...(can('operator') ? [['m', t('mark'), mark]] : []),
    ['e', t('export'), () => openExport.current?.()],
    ['y', t('copy'), copy],
    ['[', t('before'), () => within(-1)],
    [']', t('next in dialog'), () => within(1)],
    ['g', t('top'), () => move(1, 0)],
    ['G', t('end'), () => { setActive(null); setFollow(true); }],
    ['j', t('down'), () => move(1)],
    ['k', t('up'), () => move(-1)],
    ['s', t('statistics'), () => setPanel(panel === 'stats' ? '' : 'stats')],
    ...(can('operator') ? [['c', t('clear'), () => { if (!capture) clearAll(() => store.forget()); }]] : []),
    ['Escape', t('leave'), leave],
    ['ArrowDown', '', () => move(1)],
    ['ArrowUp', '', () => move(-1)],
  ]);
  const onKey = event => {
    if (event.ctrlKey || event.altKey || event.metaKey || !event.target.closest('.live-grid')) return;
    const page = Math.max(1, Math.floor((event.target.closest('.live-grid').clientHeight || 400) / 24) - 2);
    const done = {
      ArrowDown: () => move(1), ArrowUp: () => move(-1), PageDown: () => move(page), PageUp: () => move(-page),
      Home: () => move(1, 0), End: () => { move(-1, store.rows.length - 1); }, Enter: () => show('text'),
      ' ': () => { if (active !== null) toggle([active]); },
    }[event.key];
    if (!done) return;
    event.preventDefault();
    event.stopPropagation();
    done();
  };

  const open = async file => {
    try {
      const made = await openFile(file);
      navigate('live', {capture: made.id});
      toast(t('{name} opened: {count} messages', {name: file.name, count: made.messages}), {kind: 'ok'});
    } catch (error) {
      failed(error);
    }
  };
  const closeCapture = async () => {
    navigate('live', {});
    try {
      await call('monitor.close', {capture});
    } catch (error) {
      failed(error);
    }
  };

  const fresh = follow ? 0 : store.arrived - since.current;
  const total = store.rows.length;
  const addFilter = text => go({filter: filter ? `${filter} ${text}` : text});
  const empty = store.searching
    ? html`<p>${t('Searching …')}</p>`
    : store.error
      ? html`<p><b>${t('The messages cannot be shown.')}</b><br />${store.error.message}</p>`
      : filter
        ? html`<p><b>${t('Nothing matches this filter.')}</b><br />${capture ? t('No message of the capture matches.') : t('Messages that match appear here as they come.')}</p>`
        : html`<p><b>${t('No messages yet.')}</b><br />${t('Messages appear here as they flow. Recording begins when this page is opened; place a call, or run “sipx demo”.')}</p>`;

  const quoted = text => (/^[\w.@%+:,/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
  const command = opened ? `sipx trace open ${quoted(opened.name)}` : `sipx monitor${filter ? ` -f ${quoted(filter)}` : ''}`;
  const actions = html`
    <span class="live-command"><${Command} text=${command} /></span>
    <input type="file" hidden ref=${fileInput} accept=".pcapng,.pcap,.cap,.jsonl,.json,.ndjson" aria-label=${t('A saved capture')} onChange=${event => {
      const [file] = event.target.files;
      event.target.value = '';
      if (file) open(file);
    }} />
    ${capture ? null : html`<button type="button" class=${`live-btn${store.paused ? ' b-primary' : ' b-plain'}`} aria-pressed=${store.paused ? 'true' : 'false'} disabled=${!store.loaded} onClick=${pause} title=${t('Pause (p)')}>
      <span aria-hidden="true">${store.paused ? '▶' : '❚❚'}</span> ${store.paused ? t('Resume · {count} new', {count: fmt.number(store.waiting)}) : t('Pause')}</button>`}
    <${Menu} text=${t('Export')} label=${t('Export')} title=${t('Export (e)')} openRef=${openExport} wide>${close => html`
      <${ExportForm} filter=${filter} capture=${capture} selected=${[...selected]} dialog=${dialog} dialogTitle=${chosen ? titleOf(chosen) : ''} close=${close} />`}<//>
    <button type="button" class="live-btn b-plain" onClick=${() => fileInput.current.click()} title=${t('Open a saved capture; or drop the file on this page')}>${t('Open …')}</button>
    <${Menu} label=${t('View')} text=${t('View')}>${() => html`
      <${Item} checked=${mode === 'beside'} onClick=${() => setMode('beside')}>${t('Details beside the list')}<//>
      <${Item} checked=${mode === 'below'} onClick=${() => setMode('below')}>${t('Details below the list')}<//>
      <${Item} checked=${panel === 'stats'} hint="s" onClick=${() => setPanel(panel === 'stats' ? '' : 'stats')}>${t('Statistics')}<//>
      <hr /><p class="live-menu-note">${t('Columns')}</p>
      ${columns.map(column => html`<${Item} key=${column.id} checked=${!hidden.has(column.id)} disabled=${column.rank === 0}
        onClick=${() => setHidden(hidden.has(column.id) ? hiddenIds.filter(id => id !== column.id) : [...hiddenIds, column.id])}>${column.title}<//>`)}`}<//>`;

  const list = html`
    <div class="live-list" onKeyDown=${onKey}>
      <${VirtualList} store=${store} columns=${columns} hidden=${hidden} active=${active} selected=${selected} follow=${follow} onFollow=${followNow}
        onActive=${choose} onOpen=${seq => { setActive(seq); show('text'); }} onToggle=${toggle} label=${t('Messages')} empty=${empty} />
      ${!follow && !capture ? html`<button type="button" class="live-tail" onClick=${() => setFollow(true)}>
        <span aria-hidden="true">↓</span> ${fresh ? t('{count} new', {count: fmt.number(fresh)}) : t('Follow')}</button>` : null}
    </div>`;
  const close = html`<button type="button" class="live-btn b-ghost is-small" aria-label=${t('Close the details')} title=${t('Close (Esc)')} onClick=${() => setPanel('')}>✕</button>`;
  const detail = panel === 'stats'
    ? html`<section class="live-pane"><header class="live-pane-head"><h2>${t('Statistics')}</h2><span class="live-push"></span>${close}</header>
        <${Statistics} store=${store} onFilter=${addFilter} /></section>`
    : panel === 'message' && active !== null
      ? html`<${Fragmented}>
          <${LadderPane} params=${ladder} again=${again} active=${active} selected=${selected} capture=${capture} dialog=${dialog}
            onSelect=${(seq, event) => (event?.ctrlKey || event?.metaKey ? toggle([seq]) : choose(seq))} onOpen=${() => setTab('text')} actions=${close} />
          <${MessagePane} seq=${active} capture=${capture} tab=${tab} onTab=${setTab} pair=${pair} again=${again} onFilter=${part => addFilter(filterFor(part))} /><//>`
      : null;

  return html`
    <${Page} title=${t('Live')} wide actions=${actions} help="monitor">
      <div class=${`live${dropping ? ' is-dropping' : ''}`} ref=${fill}
        onDragOver=${event => { if (event.dataTransfer?.types.includes('Files')) { event.preventDefault(); setDropping(true); } }}
        onDragLeave=${event => { if (!event.currentTarget.contains(event.relatedTarget)) setDropping(false); }}
        onDrop=${event => { event.preventDefault(); setDropping(false); const [file] = event.dataTransfer.files; if (file) open(file); }}>
        ${opened ? html`<div class="live-opened" role="note"><span aria-hidden="true">▤</span> <b>${t('Opened capture')}</b> <span>${opened.name}</span>
          ${opened.messages === undefined ? null : html`<span class="live-muted">${t('{count} messages', {count: fmt.number(opened.messages)})}</span>`}
          <span class="live-push"></span><${Button} kind="primary" onClick=${() => navigate('live', {})}>${t('Back to live')}<//>
          <${Button} kind="plain" onClick=${closeCapture}>${t('Close the capture')}<//></div>` : null}
        <${FilterBox} value=${filter} onChange=${text => go({filter: text})} inputRef=${filterInput}
          onLeave=${() => fill.current?.querySelector('.live-grid')?.focus()} />
        <div class="live-state">
          <span class="live-fact"><b class="live-num">${fmt.number(total)}${store.complete || store.searching ? '' : '+'}</b> ${filter ? t('match') : t('messages')}</span>
          ${store.searching ? html`<span class="live-fact live-busy" role="status"><span class="live-spin" aria-hidden="true"></span> ${t('Searching old messages …')}</span>` : null}
          ${store.dropped ? html`<span class="live-loss"><span aria-hidden="true">⚠</span> ${t('{count} dropped', {count: fmt.number(store.dropped)})}</span>` : null}
          ${store.gaps ? html`<span class="live-loss"><span aria-hidden="true">⚠</span> ${t('{count} × gap', {count: store.gaps})}</span>` : null}
          ${store.error && total ? html`<span class="live-loss"><span aria-hidden="true">✕</span> ${store.error.message}</span>` : null}
          ${selected.size ? html`<span class="live-fact live-chosen"><b>${t('{count} selected', {count: selected.size})}</b>
            <button type="button" class="live-link" onClick=${compare} disabled=${selected.size > 2}>${t('Difference')}</button>
            <button type="button" class="live-link" onClick=${mark}
              ...${can('operator') ? {} : {disabled: true, title: t('Marks are set by operators')}}>${t('Mark')}</button>
            <button type="button" class="live-link" onClick=${() => setSelected(new Set())}>${t('Select none')}</button></span>` : null}
          <span class="live-push"></span>
          ${selected.size ? null : html`<span class="live-fact live-legend" title=${t('Leg 0 is the neighbour that the dialog began with; 1 and up are those that sipx sent it on to.')}>
            <span class="live-leg l-0">↘0</span> ${t('in')} <span class="live-leg l-1">↗1</span> ${t('out, by leg')}</span>`}
          ${capture ? null : html`<${Recording} state=${monitor.state} onCleared=${() => store.forget()} />`}
        </div>
        <${Split} mode=${mode} kept="sipx.live.share" first=${list} second=${detail} />
        <${Counts} text=${t('{count} messages', {count: total})} />
        ${dropping ? html`<div class="live-drop" aria-hidden="true">${t('Drop a capture here: pcapng, pcap or JSON Lines')}</div>` : null}
        ${marking ? html`<${MarkDialog} seqs=${marking} capture=${capture} colour=${store.get(marking[0])?.marked} note=${store.get(marking[0])?.note}
          onClose=${() => setMarking(null)} onDone=${(colour, note) => { store.mark(marking, colour, note); setMarking(null); setAgain(n => n + 0.5); }} />` : null}
      </div>
    <//>`;
}

const Fragmented = ({children}) => html`<div class="live-both">${children}</div>`;

const SHORT = {From: 'from', To: 'to', 'Call-ID': 'callid'};

function filterFor(part) {
  const value = SHORT[part.name] === 'callid' ? part.value : /sips?:([^>;?]+)/i.exec(part.value)?.[1] ?? part.value;
  const field = SHORT[part.name] ?? `header.${part.name}`;
  return `${field}:${/[\s()"]/.test(value) ? `"${value.replaceAll('"', '\\"')}"` : value}`;
}

registerPage({id: 'live', title: 'Live', group: 'watch', order: 20, icon: 'pulse', Page: Live, help: 'monitor', command: 'sipx monitor'});
