// Whether messages are recorded, why, how many are kept and what was lost; and the switch for it.

import {Badge, call, can, confirm, failed, fmt, html, t, toast} from 'sipx';
import {Item, Menu} from './menu.js';

const why = state => ({
  always: t('always recorded'),
  watched: t('recorded while somebody watches'),
  asked: t('recorded as asked'),
  off: t('not recorded'),
}[state.why] ?? state.why);

const bodies = kind => ({
  none: t('bodies are not kept'),
  sdp: t('only SDP bodies are kept'),
  all: t('all bodies are kept'),
}[kind] ?? kind);

async function record(seconds) {
  try {
    await call('monitor.record', {seconds});
    toast(seconds === null ? t('Recording is no longer asked for') : t('Recording goes on when this page is closed'));
  } catch (error) {
    failed(error);
  }
}

export async function clearAll(onDone) {
  const sure = await confirm({
    title: t('Clear what is recorded?'),
    text: t('All kept messages, dialogs and decisions are forgotten, for everybody who watches. SIP is not touched.'),
    action: t('Clear'),
    danger: true,
  });
  if (!sure) return;
  try {
    await call('monitor.clear', {});
    onDone();
  } catch (error) {
    failed(error);
  }
}

export function Recording({state, onCleared}) {
  if (!state) return html`<${Badge} kind="busy" text=${t('Asking for the state')} />`;
  const may = can('operator');
  const full = Math.max(state.limit_messages ? state.kept / state.limit_messages : 0, state.limit_bytes ? state.bytes / state.limit_bytes : 0);
  const word = state.recording ? t('Recording') : t('Not recording');
  return html`
    ${state.lost ? html`<${Badge} kind="warn" text=${t('{count} not recorded: the proxy was faster', {count: fmt.number(state.lost)})} />` : null}
    <span class="live-fact"><b class="live-num">${fmt.number(state.kept)}</b> ${t('of {limit} kept', {limit: fmt.number(state.limit_messages)})}
      <meter class="live-meter" min="0" max="1" value=${full} aria-label=${t('How full the store is')}></meter>
      <span class="live-num live-bytes">${fmt.bytes(state.bytes)}</span></span>
    <${Menu} label=${`${word}: ${why(state)}`} kind=${state.recording ? 'rec' : 'ghost'} text=${html`<span class="live-rec" aria-hidden="true"></span>${word}`}>${close => html`
      <p class="live-menu-note">${why(state)}; ${bodies(state.bodies)}.<br />${state.watchers === 1 ? t('One watches.') : t('{count} watch.', {count: state.watchers})}</p>
      ${may ? html`<hr />
      <${Item} onClick=${() => { close(); record(600); }}>${t('Record for 10 minutes')}<//>
      <${Item} onClick=${() => { close(); record(3600); }}>${t('Record for an hour')}<//>
      <${Item} onClick=${() => { close(); record(28800); }}>${t('Record for 8 hours')}<//>
      <${Item} disabled=${state.why !== 'asked'} onClick=${() => { close(); record(null); }}>${t('Stop what was asked for')}<//>
      <hr />
      <${Item} onClick=${() => { close(); clearAll(onCleared); }} hint="c">${t('Clear what is recorded …')}<//>`
    : html`<p class="live-menu-note">${t('Only an operator or an administrator may do this.')}</p>`}
    `}<//>`;
}
