/** The menu: all pages in their groups. */
import {html, classes} from './base.js';
import {t} from './i18n.js';
import {PAGES, GROUPS} from './pages.js';
import {failures, pages} from './registry.js';
import {href, route} from './router.js';
import {Icon} from '../parts/icon.js';

/** All pages in the order of the menu, those that are not there with `missing`. */
export function ordered() {
  const known = new Map(PAGES.map((page) => [page.id, {...page, missing: true}]));
  for (const page of pages.value) known.set(page.id, {...known.get(page.id), ...page, missing: false});
  const rank = (page) => GROUPS.findIndex(([group]) => group === page.group);
  const place = (page) => PAGES.find(({id}) => id === page.id)?.order ?? page.order ?? 100;
  return [...known.values()].sort((a, b) => rank(a) - rank(b) || place(a) - place(b));
}

export function Menu({onLeave}) {
  const list = ordered();
  const here = route.value.page;
  const broken = new Set(failures.value.map(({module}) => module));
  return html`<nav class="menu" id="menu" aria-label=${t('Pages')}
      onKeyDown=${(event) => { if (event.key === 'Escape') onLeave(); }}>
    ${GROUPS.map(([group, title]) => html`<div class="menu-group" key=${group}>
      <h2>${t(title)}</h2>
      <ul>${list.filter((page) => page.group === group).map((page) => html`<li key=${page.id}>
        <a href=${href(page.id)} aria-current=${page.id === here ? 'page' : undefined}
            class=${classes(page.id === here && 'current')}>
          <${Icon} name=${page.icon} />
          <span>${t(page.title)}</span>
          ${page.missing && broken.has(page.id) && html`<span class="menu-mark"><${Icon} name="bad" title=${t('failed')} /></span>`}
        </a></li>`)}</ul>
    </div>`)}
  </nav>`;
}
