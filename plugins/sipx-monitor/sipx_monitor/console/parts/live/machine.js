// The state machines of RFC 3261 §17 (with RFC 6026), drawn with the state that is now, and the
// timers that run.

import {html, t} from 'sipx';
import {seconds} from './words.js';

const MACHINES = {
  'server INVITE': {rfc: 'RFC 3261 §17.2.1, RFC 6026', states: ['Proceeding', 'Completed', 'Confirmed', 'Terminated'], branch: ['Accepted', 0, 3],
    edges: ['300–699', 'ACK', 'I'], branchEdges: ['2xx', 'L']},
  'server other': {rfc: 'RFC 3261 §17.2.2', states: ['Trying', 'Proceeding', 'Completed', 'Terminated'], edges: ['1xx', '200–699', 'J']},
  'client INVITE': {rfc: 'RFC 3261 §17.1.1, RFC 6026', states: ['Calling', 'Proceeding', 'Completed', 'Terminated'], branch: ['Accepted', 1, 3],
    edges: ['1xx', '300–699', 'D'], branchEdges: ['2xx', 'M']},
  'client other': {rfc: 'RFC 3261 §17.1.2', states: ['Trying', 'Proceeding', 'Completed', 'Terminated'], edges: ['1xx', '200–699', 'K']},
};

export const timerMeaning = name => ({
  100: t('100 Trying is still to be sent'),
  A: t('the INVITE is sent again'),
  B: t('the INVITE is given up'),
  C: t('the callee has not answered: the branch is cancelled'),
  D: t('answers that are repeated are absorbed'),
  E: t('the request is sent again'),
  F: t('the request is given up'),
  G: t('the final answer is sent again'),
  H: t('the ACK is given up'),
  I: t('ACKs that are repeated are absorbed'),
  J: t('requests that are repeated are answered again'),
  K: t('answers that are repeated are absorbed'),
  L: t('INVITEs that are repeated are absorbed'),
  M: t('further 2xx of forks are passed on'),
}[name] ?? '');

export const Timers = ({timers, since = 0}) => (timers.length === 0
  ? html`<span class="live-muted">${t('no timer runs')}</span>`
  : html`<ul class="timers">${timers.map(timer => html`<li key=${timer.name} class="timer">
      <b>${timer.name === '100' ? '100' : t('Timer {name}', {name: timer.name})}</b>
      ${timer.left === null ? null : html`<span class="live-num">${seconds(Math.max(0, timer.left - since))}</span>`}
      <span class="live-muted">${timerMeaning(timer.name)}</span></li>`)}</ul>`);

const W = 88;
const H = 30;
const GAP = 58;

export function Machine({kind, method, state}) {
  const machine = MACHINES[`${kind} ${method === 'INVITE' ? 'INVITE' : 'other'}`];
  if (!machine) return null;
  const x = index => 4 + index * (W + GAP);
  const width = x(3) + W + 4;
  const height = machine.branch ? 112 : 50;
  const box = (name, left, top) => html`<g class=${`mach-state${name === state ? ' is-now' : ''}`}>
    <rect x=${left} y=${top} width=${W} height=${H} rx="4" /><text x=${left + W / 2} y=${top + 20} text-anchor="middle">${name}</text></g>`;
  const arrow = (x1, y1, x2, y2, label) => html`<g class="mach-edge"><path d=${`M ${x1} ${y1} L ${x2 - 7} ${y2}`} />
    <path class="mach-tip" d=${`M ${x2} ${y2} l -8 -4 v 8 z`} /><text x=${(x1 + x2) / 2 - 3} y=${(y1 + y2) / 2 - 6} text-anchor="middle">${label}</text></g>`;
  return html`
    <figure class="mach">
      <div class="mach-scroll"><svg class="mach-svg" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="img"
        aria-label=${t('State machine: now in {state}, of {states}', {state, states: [...machine.states, ...(machine.branch ? [machine.branch[0]] : [])].join(', ')})}>
        ${machine.edges.map((label, index) => arrow(x(index) + W, 26, x(index + 1), 26, label))}
        ${machine.states.map((name, index) => box(name, x(index), 11))}
        ${machine.branch ? html`
          <g class="mach-edge"><path d=${`M ${x(machine.branch[1]) + W / 2} 41 V 92 H ${x(machine.branch[1] + 1) - 7}`} />
            <path class="mach-tip" d=${`M ${x(machine.branch[1] + 1)} 92 l -8 -4 v 8 z`} /><text x=${x(machine.branch[1]) + W / 2 + 40} y="86" text-anchor="middle">${machine.branchEdges[0]}</text>
            <path d=${`M ${x(machine.branch[1] + 1) + W} 92 H ${x(3) + W / 2} V 49`} /><path class="mach-tip" d=${`M ${x(3) + W / 2} 41 l -4 8 h 8 z`} />
            <text x=${x(3) + W / 2 - 40} y="86" text-anchor="middle">${machine.branchEdges[1]}</text></g>
          ${box(machine.branch[0], x(machine.branch[1] + 1), 77)}` : null}
      </svg></div>
      <figcaption class="live-muted">${kind === 'server' ? t('Server transaction') : t('Client transaction')} · ${machine.rfc}</figcaption>
    </figure>`;
}
