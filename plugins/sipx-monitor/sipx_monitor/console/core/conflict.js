/** Two who edit one file: what the other one did, and what of one's own is still to be done. */
import {html} from './base.js';
import {base, edits} from './draft.js';
import {fmt, t} from './i18n.js';
import {useCall} from './hooks.js';
import {Busy} from '../parts/empty.js';
import {Diff} from '../parts/diff.js';

/** The versions since the file was read here, and the keys that are another now. */
export function Others() {
  const {data: versions} = useCall('config.history');
  const {data: now} = useCall('config.show', {defaults: false});
  if (!versions || !now) return html`<${Busy} />`;
  const list = versions.versions;
  const from = list.findLastIndex(({etag}) => etag === base.value?.etag);
  const later = from < 0 ? [] : list.slice(from + 1);
  const before = base.value?.settings ?? new Map();
  const changed = now.settings.filter(({key, value}) => before.get(key)?.line == null
    || JSON.stringify(before.get(key).value) !== JSON.stringify(value));
  const kept = new Set(now.settings.map(({key}) => key));
  const gone = [...before].filter(([key, {line}]) => line !== null && !kept.has(key));
  return html`<p>${later.length ? t('Since you began:') : t('It was edited without sipx, so the history does not say by whom.')}</p>
    ${later.length > 0 && html`<ul>${later.map(({number, time, author, why}) => html`<li key=${number}>
      ${fmt.time(time)}, <strong>${author || t('somebody')}</strong>: ${why}</li>`)}</ul>`}
    <pre class="diff">${changed.map(({key, value}) => html`<span class="diff-added">${`+ ${key} = ${JSON.stringify(value)}`}</span>`)}
      ${gone.map(([key]) => html`<span class="diff-removed">${`- ${key}`}</span>`)}
      ${!changed.length && !gone.length && html`<span>${t('Only comments or the order are different.')}</span>`}</pre>`;
}

export function Mine() {
  const {data, error} = useCall('config.change', {edits: edits.value, dry_run: true});
  if (error) return html`<p class="problem" role="alert">${error.message}</p>`;
  return data ? html`<${Diff} lines=${data.diff} />` : html`<${Busy} />`;
}
