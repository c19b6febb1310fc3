// Tables of the configuration as rows of a list, and the switch of each.
import {Switch, draft, html, t} from 'sipx';
import {needs} from './acting.js';
import {table} from './keys.js';

/** Each table below `prefix` in the draft with what runs of it, then what runs and is not, or no more, there. */
export function tableRows(prefix, live) {
  const known = new Map(live.map((one) => [one.name, one]));
  const mine = draft.tables(prefix);
  const rows = mine.map((name) => ({
    name, key: table(prefix, name), live: known.get(name), own: true,
  }));
  for (const one of live) {
    if (mine.includes(one.name)) continue;
    const key = table(prefix, one.name);
    rows.push({name: one.name, key, live: one, own: false, removed: draft.isRemoved(key)});
  }
  return rows;
}

/** The column that switches each of them on and off. */
export function activeColumn() {
  return {
    id: 'enabled', title: t('Active'), width: '4.5rem',
    render: (row) =>
      row.own
        ? html`<${Switch}
            checked=${draft.value(`${row.key}.enabled`) !== false}
            onChange=${(on) => draft.set(`${row.key}.enabled`, on)}
            label=${t('Activate {name}', {name: row.name})}
            hideLabel
            ...${needs('admin')}
          />`
        : html`<span class="muted">–</span>`,
  };
}
