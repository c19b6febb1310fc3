// The drawing beside the type: this machine, what stands before it, and the world.
import {html, t} from 'sipx';
import {natWords} from './nat_words.js';

const BOX = {width: 128, height: 58};

function Box({x, y, title, text, cls}) {
  return html`<g class=${`nat-box ${cls ?? ''}`}>
    <rect x=${x} y=${y} width=${BOX.width} height=${BOX.height} rx="4" />
    <text x=${x + BOX.width / 2} y=${y + 24} class="nat-title">${title}</text>
    <text x=${x + BOX.width / 2} y=${y + 43} class="nat-text">${text}</text>
  </g>`;
}

/** An arrow; one that is stopped ends in a bar. */
function Arrow({from, to, y, label, state}) {
  const left = from > to;
  const tip = left ? to + 8 : to - 8;
  return html`<g class=${`nat-arrow ${state}`}>
    <line x1=${from} y1=${y} x2=${tip} y2=${y} />
    ${state === 'stopped'
      ? html`<path d=${`M${tip - 5} ${y - 5}l10 10m0-10l-10 10`} />`
      : html`<path d=${`M${tip} ${y - 5}l${left ? -8 : 8} 5l${left ? 8 : -8} 5z`} class="nat-tip" />`}
    <text x=${(from + to) / 2} y=${y - 7} class="nat-label">${label}</text>
  </g>`;
}

/** `source` is one of `stun.status`. */
export function NatDrawing({source}) {
  const words = natWords(source?.nat);
  const local = source?.local || (source?.bind && source.bind !== '*' ? source.bind : t('this machine'));
  const open = words.behind === false && words.unasked;
  const middle = words.behind === true ? t('NAT') : words.behind === false ? t('Firewall') : '?';
  const between = words.behind === true ? source?.public || '?' : words.name;
  const come = words.unasked === null ? 'unknown' : words.unasked ? 'passes' : 'stopped';
  const summary = `${words.name}. ${words.meaning}`;
  return html`<figure class="nat-drawing">
    <svg viewBox="0 0 640 196" role="img" aria-label=${summary}>
      <${Box} x=${8} y=${68} title=${t('This machine')} text=${local} cls="own" />
      ${!open && html`<${Box} x=${256} y=${68} title=${middle} text=${between} cls="wall" />`}
      <${Box} x=${504} y=${68} title=${t('Partners')} text=${t('the world')} cls="world" />
      ${open
        ? html`<${Arrow} from=${140} to=${500} y=${86} label=${t('out')} state="passes" />
            <${Arrow} from=${500} to=${140} y=${116} label=${t('in, unasked')} state="passes" />`
        : html`<${Arrow} from=${140} to=${252} y=${86} label=${t('out')} state="passes" />
            <${Arrow} from=${388} to=${500} y=${86} label=${source?.public || t('out')} state=${source?.nat === 'Firewall blocking UDP' ? 'unknown' : 'passes'} />
            <${Arrow} from=${500} to=${388} y=${116} label=${t('in, unasked')} state=${come} />
            ${come === 'passes' && html`<${Arrow} from=${252} to=${140} y=${116} label="" state="passes" />`}`}
      <${Forward} open=${open} behind=${words.behind} />
    </svg>
    <figcaption class="unseen">${summary}</figcaption>
  </figure>`;
}

/** What partners need in any case: TCP 5061. */
function Forward({open, behind}) {
  const text = open
    ? t('TCP 5061 arrives here')
    : behind
      ? t('TCP 5061: to be forwarded to this machine')
      : t('TCP 5061: to be opened');
  return html`<g class="nat-forward">
    <path d="M568 130v32H72v-26" />
    <path d="M67 142l5-10 5 10z" class="nat-tip" />
    <text x="320" y="156" class="nat-label">${text}</text>
  </g>`;
}
