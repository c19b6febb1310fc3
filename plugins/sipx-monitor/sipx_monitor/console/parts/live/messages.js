// The messages that this page holds: what the server sends, in the order of its seq, never more
// than MOST of them. Whatever is missing stands in the list as a row of its own.

import {call, subscribe} from 'sipx';

export const MOST = 20000;
const FIRST = 500;
const PAGE = 1000;
const MANY = 25;            // messages since the last drawing from which on it is not hurried
const PACE = 160;           // milliseconds between two drawings then, at least
const SLOWEST = 1000;
const SHARE = 4;            // drawing takes one part in so many of the time

export class Messages {
  constructor() {
    this.listeners = new Set();
    this.frame = 0;
    this.drawn = 0;
    this.cost = 0;          // milliseconds that the last drawing took, until it was seen
    this.fresh = 0;
    this.turn = 0;
    this.unsubscribe = null;
    this.paused = false;
    this.reset();
  }

  reset() {
    this.rows = [];
    this.held = [];
    this.skipped = 0;       // that came during a pause, and were too many to be held
    this.prepended = 0;     // rows put before the first, ever
    this.removed = 0;       // rows taken from the front, ever
    this.dropped = 0;       // events that this browser was too slow for
    this.gaps = 0;          // times that something is missing after the link was lost
    this.arrived = 0;
    this.watching = '';     // a dialog, and how often something came in it
    this.touched = 0;
    this.searching = false;
    this.complete = false;
    this.error = null;
    this.from = null;       // the newest that was kept when it was looked at
    this.early = [];        // events that came before that was known
    this.first = true;
    this.loaded = false;
  }

  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  // At most one drawing per frame; where more comes than can be read, fewer.
  changed() {
    if (this.frame) return;
    const left = this.fresh > MANY
      ? this.drawn + Math.min(SLOWEST, Math.max(PACE, SHARE * this.cost)) - performance.now() : 0;
    this.frame = 1;
    const draw = () => requestAnimationFrame(() => {
      this.frame = 0;
      this.fresh = 0;
      this.drawn = performance.now();
      for (const listener of this.listeners) listener();
      requestAnimationFrame(() => { this.cost = performance.now() - this.drawn; });
    });
    if (left > 0) setTimeout(draw, left);
    else draw();
  }

  close() {
    this.turn += 1;
    this.unsubscribe?.();
    this.unsubscribe = null;
  }

  // Following comes first, as it is what makes the proxy record; what is kept is asked for then.
  async open({filter, capture}) {
    this.close();
    this.wanted = {filter, capture};
    const turn = this.turn;
    const stale = () => turn !== this.turn;
    this.reset();
    this.searching = true;
    this.changed();
    if (!capture) this.follow(filter);
    try {
      const newest = await call('monitor.messages', {filter, capture, limit: FIRST});
      if (stale()) return;
      this.rows = newest.messages;
      this.from = newest.last ?? 0;
      const early = this.early.splice(0);
      this.loaded = Boolean(capture) || early.length > 0;
      for (const event of early) this.take(event);
      this.changed();
      await this.older(filter, capture, newest, stale);
    } catch (error) {
      if (stale()) return;
      this.error = error;
    }
    if (stale()) return;
    this.searching = false;
    this.loaded = true;
    this.changed();
  }

  // Back through what is kept, page by page, while the newest are shown already.
  async older(filter, capture, newest, stale) {
    let page = newest;
    while (!page.complete && page.messages.length && this.rows.length < MOST - PAGE) {
      page = await call('monitor.messages', {filter, capture, limit: PAGE, before: page.messages[0].seq});
      if (stale()) return;
      this.rows = page.messages.concat(this.rows);
      this.prepended += page.messages.length;
      this.changed();
    }
    this.complete = page.complete;
  }

  follow(filter) {
    this.unsubscribe = subscribe('messages', {filter}, event => this.take(event), {
      onError: error => { this.error = error; this.changed(); },
    });
  }

  // What passed between the look at what is kept and the first event.
  async bridge(turn) {
    const found = await call('monitor.messages', {filter: this.wanted.filter, after: this.from, limit: PAGE});
    if (turn !== this.turn) return;
    const into = this.paused ? this.held : this.rows;
    const known = new Set(into.slice(-4 * PAGE).map(row => row.seq));
    const missing = found.messages.filter(message => !known.has(message.seq));
    if (!missing.length) return;
    into.push(...missing);
    into.sort((a, b) => a.seq - b.seq);
    this.changed();
  }

  take({batch = [], seq = 0, dropped = 0, gap = false}) {
    this.error = null;
    if (gap && seq === 0) {
      this.again();
      return;
    }
    if (this.from === null) {
      this.early.push({batch, seq, dropped, gap});
      return;
    }
    this.loaded = true;
    if (this.first) {
      this.first = false;
      if (seq > this.from && batch[0]?.seq !== this.from + 1) {
        const turn = this.turn;
        this.bridge(turn).catch(error => {
          if (turn !== this.turn) return;
          this.error = error;
          this.changed();
        });
      }
    }
    const into = this.paused ? this.held : this.rows;
    const last = into.at(-1) ?? this.rows.at(-1);
    if (dropped || gap) {
      this.dropped += dropped;
      if (gap) this.gaps += 1;
      const seq = batch.length ? batch[0].seq : (last?.seq ?? 0);
      into.push({seq: seq - 0.5, missing: true, dropped, gap, time: batch[0]?.time ?? null});
    }
    const newest = last?.seq ?? -1;
    for (const message of batch) {
      if (message.seq <= newest) {
        this.replace(message);
        continue;
      }
      into.push(message);
      if (this.watching && message.dialog === this.watching) this.touched += 1;
    }
    this.arrived += batch.length;
    this.fresh += batch.length;
    this.trim();
    this.changed();
  }

  // sipx was started anew: its numbers begin again, and what was shown is not kept there any more.
  async again() {
    const gaps = this.gaps + 1;
    const opened = this.open(this.wanted);
    this.gaps = gaps;
    await opened;
  }

  trim() {
    if (this.held.length > MOST) {
      const lost = this.held.splice(0, this.held.length - MOST + 1);
      this.skipped += lost.filter(row => !row.missing).length;
      this.held.unshift({seq: lost.at(-1).seq, missing: true, dropped: this.skipped, paused: true});
    }
    const over = this.rows.length - MOST;
    if (over > 0) {
      this.rows.splice(0, over);
      this.removed += over;
      this.complete = false;
    }
  }

  // How many came during the pause.
  get waiting() {
    return this.held.length + (this.skipped ? this.skipped - 1 : 0);
  }

  pause(on) {
    this.paused = on;
    if (!on) {
      for (const row of this.held) this.rows.push(row);
      this.held = [];
      this.skipped = 0;
      this.trim();
    }
    this.changed();
  }

  forget() {
    this.rows = [];
    this.held = [];
    this.changed();
  }

  // The index of a message, or where it would stand.
  indexOf(seq) {
    const rows = this.rows;
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get(seq) {
    const row = this.rows[this.indexOf(seq)];
    return row && row.seq === seq ? row : null;
  }

  // What was marked, by whomever, comes again.
  replace(message) {
    const index = this.indexOf(message.seq);
    if (this.rows[index]?.seq === message.seq) this.rows[index] = message;
  }

  // A row is replaced, not edited: what is drawn of the old one is not drawn again by mistake.
  mark(seqs, marked, note) {
    for (const seq of seqs) {
      const index = this.indexOf(seq);
      const row = this.rows[index];
      if (row?.seq === seq) this.rows[index] = {...row, marked, note: note ?? row.note};
    }
    this.changed();
  }
}
