// What stands beside or below the list: the ladder of the dialog, and of the chosen message its
// text, what sipx changed in it, why it was routed there, or the difference of two.

import {Busy, Copy, call, hooks, html, t} from 'sipx';
import {Decision} from './decision.js';
import {Difference} from './diff.js';
import {Ladder} from './ladder.js';
import {Menu} from './menu.js';
import {MessageText} from './message.js';
import {ExportForm} from './export.js';
import {useKept} from './layout.js';

const {useEffect, useState} = hooks;

const SETTLE = 60;          // a key held down does not ask for every message it passes

// The answer to a call that is asked again when its parameters change; the last answer stays
// meanwhile, so that nothing flickers.
export function useAsked(method, params, {again = 0} = {}) {
  const [found, set] = useState({data: null, error: null, loading: false, key: ''});
  const key = params === null ? '' : JSON.stringify([method, params]);
  useEffect(() => {
    if (params === null) {
      set({data: null, error: null, loading: false, key});
      return undefined;
    }
    let over = false;
    set(old => ({...old, loading: true}));
    const timer = setTimeout(() => {
      call(method, params).then(
        data => { if (!over) set({data, error: null, loading: false, key}); },
        error => { if (!over) set({data: null, error, loading: false, key}); },
      );
    }, SETTLE);
    return () => { over = true; clearTimeout(timer); };
  }, [key, again]);
  return found;
}

export const Asked = ({found, children, none}) => {
  if (found.error) return html`<p class="live-pane-note" role="status"><span aria-hidden="true">✕</span> ${found.error.message}</p>`;
  if (found.data === null) return found.loading ? html`<div class="live-pane-note"><${Busy} text=${t('Asking')} /></div>` : none ?? null;
  return children(found.data);
};

export function LadderPane({params, again, active, selected, onSelect, onOpen, capture, actions, dialog}) {
  const found = useAsked('monitor.ladder', params, {again});
  const [table, setTable] = useState(false);
  const title = found.data?.title ?? '';
  return html`
    <section class="live-pane live-pane-ladder" aria-label=${t('Ladder')}>
      <header class="live-pane-head">
        <h2 title=${title}>${title || t('Ladder')}</h2>
        ${found.data?.call_id ? html`<span class="live-callid" title=${found.data.call_id}>${found.data.call_id}</span>` : null}
        <span class="live-push"></span>
        <button type="button" class="live-btn b-ghost is-small" aria-pressed=${table ? 'true' : 'false'} onClick=${() => setTable(!table)}>${t('Table')}</button>
        ${dialog ? html`<${Menu} label=${t('Export this dialog')} kind="ghost" icon="download" wide>${close => html`
          <${ExportForm} onlyDialog filter="" capture=${capture} selected=${[]} dialog=${dialog} dialogTitle=${title} close=${close} />`}<//>` : null}
        ${actions}
      </header>
      <${Asked} found=${found}>${ladder => html`<${Ladder} ladder=${ladder} active=${active} selected=${selected} table=${table} onSelect=${onSelect} onOpen=${onOpen} />`}<//>
    </section>`;
}

export const whole = found => found.text + (found.body && !found.text.includes(found.body) ? `\r\n\r\n${found.body}` : '');

export function MessagePane({seq, capture, tab, onTab, pair, onFilter, again}) {
  const [wrap, setWrap] = useKept('sipx.live.wrap', true);
  const about = tab === 'diff' && !pair ? 'text' : tab;
  const base = {capture};
  const text = useAsked('monitor.message', about === 'text' && seq !== null ? {seq, ...base} : null, {again});
  const changes = useAsked('monitor.changes', about === 'changes' && seq !== null ? {seq, ...base} : null, {again});
  const why = useAsked('monitor.decision', about === 'why' && seq !== null ? {seq, ...base} : null, {again});
  const diff = useAsked('monitor.diff', about === 'diff' && pair ? {a: pair[0], b: pair[1], ...base} : null);
  const items = [
    {id: 'text', text: t('Message')},
    {id: 'changes', text: t('What did sipx change')},
    {id: 'why', text: t('Why routed there')},
    ...(pair ? [{id: 'diff', text: t('Difference')}] : []),
  ];
  return html`
    <section class="live-pane live-pane-message" aria-label=${t('Chosen message')}>
      <div class="live-tabs-row"><div class="live-tabs" role="tablist" aria-label=${t('About the chosen message')}>
        ${items.map(item => html`<button type="button" role="tab" key=${item.id} id=${`live-tab-${item.id}`} aria-selected=${about === item.id ? 'true' : 'false'}
          tabindex=${about === item.id ? 0 : -1} aria-controls="live-tabpanel" onClick=${() => onTab(item.id)} onKeyDown=${event => {
            const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
            if (!step) return;
            event.preventDefault();
            event.stopPropagation();
            const next = items[(items.indexOf(item) + step + items.length) % items.length];
            onTab(next.id);
            document.getElementById(`live-tab-${next.id}`)?.focus();
          }}>${item.text}</button>`)}
      </div>
      ${about === 'text' && text.data ? html`<button type="button" class="live-btn b-ghost is-small live-wrap" aria-pressed=${wrap ? 'true' : 'false'} title=${t('Break long lines')} onClick=${() => setWrap(!wrap)}>${t('Wrap')}</button>
        <${Copy} text=${whole(text.data)} />` : null}
      </div>
      <div class="live-tabpanel" id="live-tabpanel" role="tabpanel" aria-labelledby=${`live-tab-${about}`}>
        ${about === 'text' ? html`<${Asked} found=${text} none=${html`<p class="live-pane-note">${t('Choose a message to read it.')}</p>`}>${found => html`<${MessageText} found=${found} onFilter=${onFilter} wrap=${wrap} />`}<//>` : null}
        ${about === 'changes' ? html`<${Asked} found=${changes}>${found => html`<${Difference} diff=${found} own />`}<//>` : null}
        ${about === 'why' ? html`<${Asked} found=${why}>${found => html`<${Decision} decision=${found} />`}<//>` : null}
        ${about === 'diff' ? html`<${Asked} found=${diff}>${found => html`<${Difference} diff=${found} />`}<//>` : null}
      </div>
    </section>`;
}
