/** The beginning: who is there, in which language, with which pages; then the shell. */
import {at, effect, html, render, root, signal} from './base.js';
import {language, loadLanguage, t} from './i18n.js';
import {connect, disconnect} from './link.js';
import {watchFile} from './draftcheck.js';
import {LoginPage} from './login.js';
import {PAGES} from './pages.js';
import {failures, loading} from './registry.js';
import {loadSession, login, session, tokenOfAddress} from './session.js';
import {Shell} from './shell.js';
import {Button} from '../parts/button.js';
import './theme.js';

const loaded = signal(false);
const trouble = signal(null);
const refused = signal(false);

function App() {
  if (trouble.value) {
    return html`<main class="alone"><h1>sipx</h1><p role="alert">${trouble.value}</p>
      <${Button} icon="reload" onClick=${() => location.reload()}>${t('Try again')}<//></main>`;
  }
  if (session.value === null) return html`<${LoginPage} refused=${refused.value} />`;
  if (!session.value || !loaded.value) return html`<p class="boot">sipx</p>`;
  return html`<${Shell} />`;
}

async function module(name, address) {
  try {
    await import(address);
  } catch (error) {
    console.error(`${name} cannot be loaded:`, error);
    failures.value = [...failures.value, {module: name, error}];
  }
}

/** The pages of sipx side by side, then what plugins bring, in the order in which they are listed. */
async function loadPages() {
  await Promise.all(PAGES.map(({id}) => module(id, at(`console/pages/${id}.js`))));
  for (const {plugin, module: file, styles = []} of session.value?.panels ?? []) {
    for (const style of styles) {
      const element = document.createElement('link');
      element.rel = 'stylesheet';
      element.href = new URL(style, root).href;
      document.head.append(element);
    }
    loading.plugin = plugin;
    await module(plugin, new URL(file, root).href);
  }
  loading.plugin = '';
  loaded.value = true;
}

let entered = false;
function enter() {
  connect();
  if (entered) return;
  entered = true;
  watchFile();
  void loadPages();
}

/** By a link; where that does not let one in, as who one was. */
async function comeIn(token) {
  try {
    return await login({token});
  } catch (error) {
    refused.value = true;
    return loadSession();
  }
}

// A link that is put into the address of an open page does not load it anew.
addEventListener('hashchange', async () => {
  const token = tokenOfAddress();
  if (!token) return;
  disconnect();
  try {
    await comeIn(token);
  } catch (error) {
    trouble.value = `${t('sipx does not answer.')} ${error.message}`;
  }
});

async function begin() {
  render(html`<${App} />`, document.getElementById('app'));
  try {
    const token = tokenOfAddress();
    await (token ? comeIn(token) : loadSession());
    await loadLanguage(language.value);
  } catch (error) {
    trouble.value = `${t('sipx does not answer.')} ${error.message}`;
    return;
  }
  effect(() => {
    document.documentElement.lang = language.value;
    void loadLanguage(language.value);
  });
  effect(() => {
    if (session.value) {
      refused.value = false;
      enter();
    } else disconnect();
  });
}

void begin();
