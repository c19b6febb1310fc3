/** The frame around the pages: menu, top bar, draft bar, hints, and what announces itself. */
import {html, hooks, classes} from './base.js';
import {Boundary, Failed} from './boundary.js';
import {DraftBar} from './draftbar.js';
import {t} from './i18n.js';
import {Hints} from './hints.js';
import {keys} from './keys.js';
import {link, retry, retryAt} from './link.js';
import {Menu, ordered} from './menu.js';
import {failures, pages, panels} from './registry.js';
import {moved, whereTo} from './moving.js';
import {navigate, onPage, route} from './router.js';
import {Topbar} from './topbar.js';
import {useNow} from './hooks.js';
import {Button} from '../parts/button.js';
import {Card} from '../parts/card.js';
import {Empty} from '../parts/empty.js';
import {Dialogs} from '../parts/dialog.js';
import {Toasts} from '../parts/toast.js';

const {useEffect, useLayoutEffect, useState} = hooks;

export function Shell() {
  const [menu, setMenu] = useState(false);
  useEffect(() => onPage((page, before) => {
    setMenu(false);
    if (before === null) return;
    document.querySelector('.main')?.scrollTo(0, 0);
    requestAnimationFrame(() => document.querySelector('#main h1')?.focus({preventScroll: true}));
  }), []);
  useLayoutEffect(() => {
    const bound = ordered().slice(0, 9).map(({id}, index) => keys.bind(`Alt+${index + 1}`,
      () => navigate(id), {hidden: true}));
    bound.push(keys.bind('F1', help, {label: t('Help')}));
    return () => { for (const unbind of bound) unbind(); };
  }, []);
  return html`<div class=${classes('shell', menu && 'menu-open')}>
    <a class="skip" href="#main" onClick=${skip}>${t('To the page')}</a>
    <${Topbar} menu=${menu} onMenu=${() => setMenu(!menu)} />
    <${Menu} onLeave=${() => setMenu(false)} />
    <div class="main">
      <${LinkBanner} />
      <main id="main" tabindex="-1"><${CurrentPage} /></main>
    </div>
    <${DraftBar} />
    <${Hints} />
    <${Dialogs} />
    <${Toasts} />
  </div>`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById('main').focus();
}

function help() {
  const {page} = route.value;
  const topic = pages.value.find(({id}) => id === page)?.help;
  navigate('help', topic ? {topic} : {});
}

function CurrentPage() {
  const {page, params} = route.value;
  const found = pages.value.find(({id}) => id === page);
  const failed = failures.value.find(({module}) => module === page);
  useEffect(() => { document.title = found ? `${t(found.title)} – sipx` : 'sipx'; });
  if (!found && failed) return html`<${Failed} name=${page} error=${failed.error} retry=${() => location.reload()} />`;
  if (!found) {
    return html`<${Empty} title=${t('There is no page {page}', {page})} level="1"
      action=${html`<${Button} onClick=${() => navigate('overview')}>${t('Overview')}<//>`} />`;
  }
  const own = panels.value.filter((panel) => panel.page === page);
  return html`<${Boundary} key=${page} name=${found.title}><${found.Page} params=${params} /><//>
    ${own.length > 0 && html`<div class="panels">
      ${own.map(({id, title, icon, Panel}) => html`<${Card} key=${id} title=${t(title)} icon=${icon}>
        <${Boundary} name=${title}><${Panel} page=${page} /><//><//>`)}
    </div>`}`;
}

function LinkBanner() {
  const now = useNow(1);
  const [late, setLate] = useState(false);
  const up = link.value === 'up';
  useEffect(() => {
    setLate(false);
    if (up) return undefined;
    const clock = setTimeout(() => setLate(true), 900);
    return () => clearTimeout(clock);
  }, [up]);
  if (up || !late) return null;
  const left = Math.max(0, Math.ceil(retryAt.value / 1000 - now));
  return html`<div class="banner" role="status">
    <span>${t('There is no link to sipx. What is shown may be old.')}</span>
    ${moved.value && html`<span>${whereTo()} ${moved.value.startsWith('http')
      && html`<a href=${moved.value}>${moved.value}</a>`}</span>`}
    <span class="muted" aria-hidden="true">${link.value === 'connecting' || !left ? t('Trying …')
      : t('Next try in {n} s', {n: left})}</span>
    <${Button} kind="plain" onClick=${retry}>${t('Try now')}<//>
  </div>`;
}
