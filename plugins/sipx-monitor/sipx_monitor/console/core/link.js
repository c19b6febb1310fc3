/** The link to the server: one websocket, calls and subscriptions over it, and coming back. */
import {at, signal, SipxError} from './base.js';
import {t} from './i18n.js';
import {ended as loggedOff, loadSession, post, session} from './session.js';

/** 'up', 'down' or 'connecting'. */
export const link = signal('connecting');
/** When it is tried again: milliseconds since 1970, 0 while it is not known. */
export const retryAt = signal(0);

const BATCHES = new Set(['messages', 'log', 'events']);
const LARGE = 256 * 1024;
const SILENCE = 30_000;
const PATIENCE = 120_000;
/** The code with which the server closes when the session is over. */
const OVER = 4401;

let socket = null;
let number = 0;
let attempts = 0;
let boot = '';
let heard = 0;
let timer = 0;
const pending = new Map();
const waiting = [];
const subscriptions = new Set();
const byServer = new Map();
/** How many subscriptions are being opened, and events that came before their answers. */
let opening = 0;
const early = [];

/** Connect, and stay connected until `disconnect`. */
export function connect() {
  clearTimeout(timer);
  if (socket) return;
  link.value = link.value === 'up' ? 'connecting' : link.value;
  retryAt.value = 0;
  const address = new URL(at('ws'));
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  const mine = new WebSocket(address.href, ['sipx.v1']);
  socket = mine;
  mine.onmessage = (event) => { if (socket === mine) received(JSON.parse(event.data)); };
  mine.onclose = ({code}) => {
    if (socket !== mine) return;
    if (code === OVER) loggedOff();
    else lost();
  };
}

export function disconnect() {
  clearTimeout(timer);
  const old = socket;
  socket = null;
  old?.close();
  link.value = 'down';
  refuse(new SipxError('link', t('You are logged out.')));
}

function refuse(error) {
  for (const {reject} of pending.values()) reject(error);
  for (const {reject} of waiting.splice(0)) reject(error);
  pending.clear();
}

function lost() {
  socket = null;
  byServer.clear();
  link.value = 'down';
  for (const one of subscriptions) one.server = null;
  for (const {reject} of pending.values()) {
    reject(new SipxError('link', t('The link to sipx was lost before the answer came.')));
  }
  pending.clear();
  const pause = Math.min(500 * 2 ** attempts, 15_000) * (0.8 + Math.random() * 0.4);
  attempts += 1;
  retryAt.value = Date.now() + pause;
  timer = setTimeout(comeBack, pause);
}

/** Whoever is logged out meanwhile is told so instead of trying for ever. */
async function comeBack() {
  clearTimeout(timer);
  if (socket || session.value === null) return;
  link.value = 'connecting';
  retryAt.value = 0;
  try {
    if (await loadSession() === null) {
      disconnect();
      return;
    }
  } catch (error) {
    if (!socket) lost();
    return;
  }
  connect();
}

/** Try now instead of at the next turn. */
export function retry() {
  if (!socket) void comeBack();
}

addEventListener('online', retry);
document.addEventListener('visibilitychange', () => { if (!document.hidden) retry(); });

setInterval(() => {
  if (link.value !== 'up' || document.hidden || Date.now() - heard < SILENCE) return;
  const mine = socket;
  const end = setTimeout(() => { if (socket === mine) { mine?.close(); lost(); } }, 10_000);
  call('control.version').then(() => clearTimeout(end), () => clearTimeout(end));
}, 10_000);

function received(message) {
  heard = Date.now();
  if (message.topic === 'hello') {
    greeted(message);
  } else if ('id' in message && message.id !== null) {
    const one = pending.get(message.id);
    pending.delete(message.id);
    if (message.error) one?.reject(errorOf(message.error));
    else one?.resolve(message.result);
  } else if ('subscription' in message) {
    const one = byServer.get(message.subscription);
    if (one) one.event(message);
    else if (opening) early.push(message);
  }
}

function errorOf(error) {
  return new SipxError(error.code, error.text ?? error.message ?? String(error.code), error.problems ?? []);
}

function greeted(hello) {
  const again = boot !== '' && boot !== hello.boot;
  boot = hello.boot;
  attempts = 0;
  link.value = 'up';
  if (again) for (const one of subscriptions) one.forget();
  for (const one of subscriptions) one.start();
  for (const {method, params, resolve, reject} of waiting.splice(0)) {
    send(method, params).then(resolve, reject);
  }
}

function send(method, params) {
  const id = ++number;
  return new Promise((resolve, reject) => {
    const clock = setTimeout(() => {
      pending.delete(id);
      reject(new SipxError('link', t('sipx has not answered within {time}.', {time: '2 min'})));
    }, PATIENCE);
    const done = (fn) => (value) => { clearTimeout(clock); fn(value); };
    pending.set(id, {resolve: done(resolve), reject: done(reject)});
    socket.send(JSON.stringify({id, method, params}));
  });
}

/** A method of the control API. Rejects with a SipxError. */
export function call(method, params = {}) {
  if (link.value === 'up' && socket?.readyState === WebSocket.OPEN) {
    return JSON.stringify(params).length > LARGE ? post(method, params) : send(method, params);
  }
  if (session.value === null) return Promise.reject(new SipxError(401, t('You are logged out.')));
  if (link.value === 'down' && attempts > 1) {
    return Promise.reject(new SipxError('link', t('There is no link to sipx.')));
  }
  return new Promise((resolve, reject) => waiting.push({method, params, resolve, reject}));
}

/** One topic with its parameters at the server, for all who want the same. */
class Subscription {
  constructor(topic, params) {
    Object.assign(this, {topic, params, server: null, seq: null, last: null, error: null});
    this.handlers = new Set();
  }

  forget() {
    const had = this.seq !== null && BATCHES.has(this.topic);
    this.seq = null;
    if (had) this.tell({batch: [], seq: 0, dropped: 0, gap: true});
  }

  async start() {
    const mine = socket;
    const since = BATCHES.has(this.topic) && this.seq !== null ? {since: this.seq, boot} : {};
    opening += 1;
    this.error = null;
    try {
      const answer = await send('subscribe', {...this.params, topic: this.topic, ...since});
      if (socket !== mine) return;
      if (!this.handlers.size) {
        void send('unsubscribe', {subscription: answer.subscription}).catch(ended);
        return;
      }
      this.server = answer.subscription;
      byServer.set(this.server, this);
      for (const event of early.filter((one) => one.subscription === this.server)) this.event(event);
    } catch (error) {
      if (error.code !== 'link') this.fail(error);
    } finally {
      opening -= 1;
      if (!opening) early.length = 0;
    }
  }

  event(message) {
    if (message.error && !BATCHES.has(this.topic)) { // a state that there is not now may be there again
      this.last = null;
      this.fail(errorOf(message.error));
      return;
    }
    if (message.error || message.end) {
      byServer.delete(this.server);
      this.server = null;
      const error = message.error ?? message.end?.error;
      this.fail(error ? errorOf(error) : new SipxError('end', t('The server ended this view.')));
      return;
    }
    this.seq = message.seq ?? this.seq;
    this.error = null;
    if (!BATCHES.has(this.topic)) this.last = message;
    this.tell(message);
  }

  tell(message) {
    for (const one of [...this.handlers]) one.handler(message);
  }

  fail(error) {
    this.error = error;
    for (const one of [...this.handlers]) one.onError?.(error);
  }

  leave(one) {
    this.handlers.delete(one);
    if (this.handlers.size) return;
    subscriptions.delete(this);
    if (this.server === null) return;
    byServer.delete(this.server);
    if (socket?.readyState === WebSocket.OPEN) {
      void send('unsubscribe', {subscription: this.server}).catch(ended);
    }
  }
}


/** A subscription that ended by itself meanwhile needs no end. */
function ended(error) {
  if (error.code !== 'link' && error.code !== 'not found') console.debug('unsubscribe:', error.message);
}

/** Hear a topic until the function that comes back is called; survives a lost link. */
export function subscribe(topic, params, handler, {onError} = {}) {
  const key = JSON.stringify(params ?? {});
  let found = BATCHES.has(topic) ? undefined
    : [...subscriptions].find((one) => one.topic === topic && JSON.stringify(one.params) === key);
  const mine = {handler, onError};
  if (found) {
    found.handlers.add(mine);
    if (found.last) handler(found.last);
    else if (found.error) onError?.(found.error);
  } else {
    found = new Subscription(topic, params ?? {});
    found.handlers.add(mine);
    subscriptions.add(found);
    if (link.value === 'up' && socket?.readyState === WebSocket.OPEN) void found.start();
  }
  return () => found.leave(mine);
}
