/** Tables: sorted by their heads, walked by arrows, opened by Enter, turned page by page where they are long. */
import {classes, html, hooks} from '../core/base.js';
import {fmt, t} from '../core/i18n.js';
import {Button} from './button.js';
import {Empty} from './empty.js';
import {Icon} from './icon.js';

const {useEffect, useLayoutEffect, useMemo, useRef, useState} = hooks;
/** Rows of a page. Sorting and the filter are about all of them. */
const SIZE = 100;

const order = new Intl.Collator(undefined, {numeric: true, sensitivity: 'base'});

const compare = (a, b) => {
  const none = (x) => x === null || x === undefined || x === '';
  if (none(a) || none(b)) return none(a) - none(b);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return order.compare(String(a), String(b));
};

function valueIn(column, row) {
  return typeof column.sort === 'function' ? column.sort(row) : row[column.id];
}

function textIn(row, columns) {
  return columns.map((column) => {
    const value = typeof column.text === 'function' ? column.text(row) : valueIn(column, row) ?? row[column.id];
    return value === null || typeof value === 'object' ? JSON.stringify(value) ?? '' : String(value ?? '');
  }).join(' ').toLowerCase();
}

/** Inside of a row there may be buttons and switches of their own. */
function own(event) {
  return event.target.closest('button, a, input, select, label, textarea, summary') !== null;
}

/**
 * `columns=[{id, title, render(row), sort: true|fn(row), text(row), align, mono, width, hide: 'narrow'}]`.
 * `label` names the table for readers, `empty={title, text, action}` stands where no row is.
 */
export function Table({columns, rows, keyOf = (row) => row.id ?? row.name, onOpen, selected, empty, filterable = false,
  label, sortBy = '', descending = false, filter: given, marks}) {
  const [sort, setSort] = useState({id: sortBy, down: descending});
  const [typed, setFilter] = useState(given ?? '');
  const [active, setActive] = useState(null);
  const [turned, setTurned] = useState(0);
  const body = useRef(null);
  const goal = useRef(null);
  useEffect(() => { if (given !== undefined) setFilter(given); }, [given]);
  const shown = useMemo(() => {
    const wanted = typed.toLowerCase().split(/\s+/).filter(Boolean);
    const left = wanted.length ? rows.filter((row) => {
      const text = textIn(row, columns);
      return wanted.every((word) => text.includes(word));
    }) : rows;
    const column = columns.find(({id}) => id === sort.id);
    if (!column) return left;
    const sorted = left.map((row) => [valueIn(column, row), row]).sort(([a], [b]) => compare(a, b)).map(([, row]) => row);
    return sort.down ? sorted.reverse() : sorted;
  }, [rows, columns, typed, sort.id, sort.down]);
  const ids = shown.map(keyOf);
  const last = Math.max(0, Math.ceil(shown.length / SIZE) - 1);
  const page = Math.min(turned, last);
  const first = page * SIZE;
  const seen = last ? shown.slice(first, first + SIZE) : shown;
  const near = last ? ids.slice(first, first + SIZE) : ids;
  const focusable = near.includes(active) ? active : near.includes(selected) ? selected : near[0];

  // The row that a key has led to may stand on another page.
  useLayoutEffect(() => {
    if (goal.current === null) return;
    body.current?.children[goal.current - first]?.focus();
    goal.current = null;
  });
  useEffect(() => setTurned(0), [typed, sort.id, sort.down]);

  function go(index) {
    if (index < 0 || index >= ids.length) return;
    setActive(ids[index]);
    if (index >= first && index < first + near.length) {
      body.current.children[index - first].focus();
    } else {
      goal.current = index;
      setTurned(Math.floor(index / SIZE));
    }
  }
  function turn(to) {
    setTurned(to);
    body.current?.closest('.table-frame').scrollIntoView({block: 'start'});
  }
  function key(event) {
    if (own(event) && event.target !== event.currentTarget) return;
    const at = ids.indexOf(focusable);
    const next = {ArrowDown: at + 1, ArrowUp: at - 1, j: at + 1, k: at - 1, Home: 0, End: ids.length - 1,
      PageDown: Math.min(at + 20, ids.length - 1), PageUp: Math.max(at - 20, 0)}[event.key];
    if (next !== undefined) go(next);
    else if (event.key === 'Enter' && onOpen) onOpen(shown[at]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  const pager = last > 0 && html`<div class="table-pager" role="group" aria-label=${t('Rows of {label}', {label: label ?? t('Table')})}>
    <span role="status">${t('{first} to {last} of {total}', {first: fmt.number(first + 1),
    last: fmt.number(first + seen.length), total: fmt.number(shown.length)})}</span>
    <${Button} kind="ghost" small disabled=${page === 0} onClick=${() => turn(page - 1)}>${t('Previous')}<//>
    <${Button} kind="ghost" small disabled=${page === last} onClick=${() => turn(page + 1)}>${t('Next')}<//>
  </div>`;
  const filterBox = filterable && (rows.length > 5 || typed) && html`<div class="table-filter">
    <${Icon} name="search" /><input type="search" class="input" value=${typed} placeholder=${t('Filter')}
      aria-label=${label ? t('Filter {label}', {label}) : t('Filter')} onInput=${(event) => setFilter(event.currentTarget.value)} />
    <span class="muted" role="status">${typed && t('{n} of {total}', {n: fmt.number(shown.length), total: fmt.number(rows.length)})}</span>
  </div>`;
  if (!rows.length && empty) return html`<${Empty} ...${empty} />`;
  return html`${filterBox}<div class="table-frame" role="group" aria-label=${label ?? t('Table')}
      tabindex=${onOpen && shown.length ? undefined : '0'}><table class="table" aria-rowcount=${last ? shown.length + 1 : undefined}>
    ${label && html`<caption class="unseen">${label}</caption>`}
    <thead><tr aria-rowindex=${last ? 1 : undefined}>${columns.map((column) => html`<${Head} key=${column.id} column=${column} sort=${sort} onSort=${setSort} />`)}</tr></thead>
    <tbody ref=${body} onKeyDown=${key}>
      ${seen.map((row, index) => {
    const id = near[index];
    return html`<tr key=${id} aria-rowindex=${last ? first + index + 2 : undefined} tabindex=${onOpen ? (id === focusable ? 0 : -1) : undefined}
        aria-selected=${selected === undefined ? undefined : id === selected}
        class=${classes(onOpen && 'table-open', id === selected && 'selected', marks?.(row))}
        onFocus=${() => setActive(id)}
        onClick=${onOpen ? (event) => { if (!own(event)) onOpen(row); } : undefined}>
      ${columns.map((column) => html`<td key=${column.id} class=${cell(column)}>
        ${column.render ? column.render(row) : row[column.id] ?? ''}</td>`)}</tr>`;
  })}
    </tbody>
  </table>${!shown.length && html`<p class="table-none muted">${t('Nothing fits the filter.')}</p>`}</div>${pager}`;
}

function cell({align, mono, hide, wrap}) {
  return classes(align && `align-${align}`, mono && 'mono', hide && `hide-${hide}`, wrap && 'wrap');
}

function Head({column, sort, onSort}) {
  const mine = sort.id === column.id;
  const order = !column.sort ? undefined : mine ? (sort.down ? 'descending' : 'ascending') : 'none';
  return html`<th scope="col" class=${cell(column)} style=${column.width ? {width: column.width} : undefined} aria-sort=${order}>
    ${column.sort ? html`<button type="button" onClick=${() => onSort({id: column.id, down: mine && !sort.down})}>
      ${column.title}<span class="sort-mark" aria-hidden="true">${mine ? (sort.down ? '↓' : '↑') : ''}</span></button>`
    : column.hideTitle ? html`<span class="unseen">${column.title}</span>` : column.title}</th>`;
}
