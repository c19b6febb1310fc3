// The text of one message: start line and headers coloured, credentials masked by the server.

import {html, t} from 'sipx';
import {classOf} from './words.js';

const ROUTING = new Set(['via', 'record-route', 'route', 'contact', 'max-forwards', 'path', 'service-route']);
const DIALOG = new Set(['from', 'to', 'call-id', 'cseq']);
const SECRET = new Set(['authorization', 'proxy-authorization', 'www-authenticate', 'proxy-authenticate']);

const kindOf = name => {
  const low = name.toLowerCase();
  if (ROUTING.has(low)) return 'routing';
  if (DIALOG.has(low)) return 'dialog';
  if (SECRET.has(low)) return 'secret';
  if (low.startsWith('content-')) return 'content';
  return 'other';
};

// A URI, a parameter, a quoted text: three colours are enough to find one's way in a header.
const PIECES = /(<[^>]*>)|("(?:[^"\\]|\\.)*")|(;\s*(?:branch|tag|received|rport|lr|ob|expires|q)\b=?)/g;

function pieces(value) {
  const found = [];
  let at = 0;
  for (const match of value.matchAll(PIECES)) {
    if (match.index > at) found.push(value.slice(at, match.index));
    const kind = match[1] ? 'uri' : match[2] ? 'quoted' : 'param';
    found.push(html`<span class=${`msg-${kind}`}>${match[0]}</span>`);
    at = match.index + match[0].length;
  }
  if (at < value.length) found.push(value.slice(at));
  return found;
}

const sdpLine = line => {
  const match = /^([a-z])=(.*)$/.exec(line);
  return match ? html`<div class="msg-line"><span class="msg-name n-content">${match[1]}</span>=${match[2]}</div>` : html`<div class="msg-line">${line || ' '}</div>`;
};

export function MessageText({found, onFilter, wrap = true}) {
  const {message, head = [], text = '', body = '', body_note: note = ''} = found;
  const sdp = message.sdp || (message.body_type ?? '').includes('sdp');
  return html`
    <div class="msg">
      <div class=${`msg-text${wrap ? ' is-wrapped' : ''}`} tabindex="0" role="region" aria-label=${t('Message text')}>
        ${message.malformed ? html`<p class="msg-malformed"><span aria-hidden="true">⚠</span> ${t('This message is malformed. It is shown as it came.')}</p>` : null}
        ${head.length === 0 ? html`<div class="msg-line">${text}</div>` : null}
        ${head.map(part => (part.part === 'start'
          ? html`<div class=${`msg-line msg-start c-${classOf(message.status)}`}>${part.text || part.value}</div>`
          : html`<div class="msg-line"><button type="button" class=${`msg-name n-${kindOf(part.name)}`} tabindex="-1"
              title=${t('Filter for this header')} onClick=${() => onFilter?.(part)}>${part.name}</button><span class="msg-colon">: </span>${pieces(part.value)}</div>`))}
        ${body ? html`<div class="msg-line">${' '}</div><div class="msg-body">${sdp ? body.split(/\r?\n/).map(sdpLine) : html`<div class="msg-line">${body}</div>`}</div>` : null}
        ${note ? html`<p class="msg-note"><span aria-hidden="true">ⓘ</span> ${note}</p>` : null}
      </div>
    </div>`;
}
