/** Jump: type a few letters of a page or of a thing, and go there. */
import {html, hooks, useId} from './base.js';
import {base, draft} from './draft.js';
import {t} from './i18n.js';
import {ordered} from './menu.js';
import {navigate} from './router.js';
import {Dialog} from '../parts/dialog.js';
import {Icon} from '../parts/icon.js';

const {useEffect, useMemo, useRef, useState} = hooks;
const MOST = 12;

/** What pages were called in the original, where that is another name. */
const FORMER = {
  wan: 'wan settings', interfaces: 'network interfaces', lan: 'lan settings', federation: 'configure', routes: 'static routes',
  logs: 'diagnostics', service: 'proxy service',
};

/** Tables of the file and the pages on which they stand. */
const THINGS = [
  ['interface', 'interfaces', 'name', 'Interface'], ['certificate', 'certificates', 'name', 'Certificate'],
  ['lan.server', 'servers', 'name', 'UC server'], ['static-routes.route', 'routes', 'domain', 'Route'],
];

function everything() {
  const found = ordered().map(({id, title, icon, command}) => (
    {id: `page ${id}`, title: t(title), more: t('Page'), former: FORMER[id],
      words: `${title} ${id} ${command ?? ''} ${FORMER[id] ?? ''}`, icon, go: () => navigate(id)}));
  for (const [table, page, param, what] of THINGS) {
    for (const name of draft.tables(table)) {
      found.push({id: `${table} ${name}`, title: name, more: t(what), words: `${table} ${t(what)}`,
        icon: ordered().find(({id}) => id === page)?.icon, go: () => navigate(page, {[param]: name})});
    }
  }
  for (const key of base.value?.settings.keys() ?? []) {
    found.push({id: `key ${key}`, title: key, more: t('Setting'), words: '', icon: 'file', weak: true,
      go: () => navigate('config', {key})});
  }
  return found;
}

/** How well it fits, -1 for not at all: a word that is seen counts more than one that is not. */
function rank({title, words, weak, former = ''}, wanted) {
  const name = title.toLowerCase();
  const all = `${name} ${words.toLowerCase()}`;
  if (!wanted.every((word) => all.includes(word))) return -1;
  const first = wanted[0] ?? '';
  const seen = name.startsWith(first) || former.startsWith(first) ? 3 : name.includes(first) ? 2 : 1;
  return weak ? 0 : seen;
}

export function Jump({onClose}) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const list = useRef(null);
  const id = useId('jump');
  const all = useMemo(everything, []);
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.map((one) => [rank(one, wanted), one]).filter(([score, one]) => score >= 0 && (wanted.length || !one.weak))
    .sort(([a], [b]) => b - a).slice(0, wanted.length ? MOST : 40).map(([, one]) => one);
  const here = Math.min(at, found.length - 1);
  useEffect(() => { list.current?.children[here]?.scrollIntoView({block: 'nearest'}); }, [here]);

  function go(one) {
    onClose();
    one?.go();
  }
  function key(event) {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step) setAt(Math.max(0, Math.min(found.length - 1, here + step)));
    else if (event.key === 'Enter') go(found[here]);
    else return;
    event.preventDefault();
  }
  return html`<${Dialog} title=${t('Jump')} onClose=${onClose} plain>
    <input class="jump-input" type="text" role="combobox" aria-expanded="true" aria-controls=${id} autofocus
      aria-activedescendant=${found[here] ? `${id}-${here}` : undefined} aria-label=${t('Page, interface, route, setting …')}
      placeholder=${t('Page, interface, route, setting …')} value=${text} onKeyDown=${key} autocomplete="off" spellcheck="false"
      onInput=${(event) => { setText(event.currentTarget.value); setAt(0); }} />
    <ul class="jump-list" id=${id} role="listbox" aria-label=${t('Found')} ref=${list}>
      ${found.map((one, index) => html`<li key=${one.id} id=${`${id}-${index}`} role="option" aria-selected=${index === here}
          onClick=${() => go(one)}><${Icon} name=${one.icon} /><span>${one.title}</span><small>${one.more}</small></li>`)}
    </ul>
    ${found.length === 0 && html`<p class="muted jump-none">${t('Nothing is called so.')}</p>`}
  <//>`;
}
