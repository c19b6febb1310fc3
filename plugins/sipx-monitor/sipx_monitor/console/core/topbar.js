/** The bar on top: menu, jump, the state of the link, theme, language, who is logged on. */
import {html, hooks, prefer, preferences} from './base.js';
import {Jump} from './jump.js';
import {LANGUAGES, language, t} from './i18n.js';
import {keys} from './keys.js';
import {link} from './link.js';
import {Logo} from './logo.js';
import {PreferencesDialog} from './preferences.js';
import {href} from './router.js';
import {session} from './session.js';
import {theme} from './theme.js';
import {Button} from '../parts/button.js';
import {Icon} from '../parts/icon.js';

const {useLayoutEffect, useState} = hooks;

export function Topbar({menu, onMenu}) {
  const [jump, setJump] = useState(false);
  const [own, setOwn] = useState(false);
  useLayoutEffect(() => {
    const bound = [
      keys.bind('Ctrl+k', () => setJump(true), {label: t('Jump')}),
      keys.bind('t', toggleTheme, {label: t('Theme')}),
      keys.bind('?', () => setOwn(true), {label: t('All keys')}),
    ];
    return () => { for (const unbind of bound) unbind(); };
  }, [language.value]);
  return html`<header class="topbar">
    <button type="button" class="icon-button menu-button" aria-expanded=${menu} aria-controls="menu"
        aria-label=${t('Menu')} onClick=${onMenu}><${Icon} name="menu" /></button>
    <a class="brand" href=${href('overview')} aria-label=${t('sipx, overview')}><${Logo} /><span>sipx</span></a>
    <button type="button" class="jump-button" aria-label=${t('Jump to …')} aria-keyshortcuts="Control+K" onClick=${() => setJump(true)}>
      <${Icon} name="search" /><span>${t('Jump to …')}</span><kbd>Ctrl K</kbd></button>
    <span class="topbar-space"></span>
    <${LinkState} />
    <button type="button" class="icon-button" aria-label=${t('Light or dark')} title=${t('Light or dark')}
        onClick=${toggleTheme}><${Icon} name=${theme.value === 'dark' ? 'moon' : 'sun'} /></button>
    <label class="language"><span class="unseen">${t('Language')}</span>
      <select value=${language.value} onChange=${(event) => prefer({language: event.currentTarget.value})}>
        ${Object.entries(LANGUAGES).map(([id, title]) => html`<option key=${id} value=${id} lang=${id}
          selected=${id === language.value} aria-label=${title}>${id.toUpperCase()}</option>`)}
      </select></label>
    <${Button} kind="ghost" icon="user" onClick=${() => setOwn(true)} aria-haspopup="dialog"
        aria-label=${t('You and this browser')} title=${t('You and this browser')}>
      <span class="user-name">${session.value?.user || t('Console')}</span><//>
    ${jump && html`<${Jump} onClose=${() => setJump(false)} />`}
    ${own && html`<${PreferencesDialog} onClose=${() => setOwn(false)} />`}
  </header>`;
}

function toggleTheme() {
  prefer({theme: theme.value === 'dark' ? 'light' : 'dark'});
}

function LinkState() {
  const words = {up: t('connected'), connecting: t('connecting'), down: t('no link')};
  return html`<span class=${`link link-${link.value}`} title=${t('The link to sipx')}>
    <span class="link-dot" aria-hidden="true"></span>${words[link.value]}</span>`;
}
