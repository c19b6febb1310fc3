/** Logging on: with a user and a password, or with a token. */
import {html, hooks} from './base.js';
import {t} from './i18n.js';
import {login, outside, over} from './session.js';
import {Button} from '../parts/button.js';
import {Command} from '../parts/copy.js';
import {Field} from '../parts/field.js';
import {Tabs} from '../parts/tabs.js';
import {Logo} from './logo.js';

const {useEffect, useState} = hooks;

function inWords(error, way) {
  if (error.wait) return t('Too many attempts. Try again in {n} s.', {n: error.wait});
  if (error.code === 'unauthenticated') {
    return way === 'password' ? t('The user or the password is wrong.') : t('That is not right, or not valid any more.');
  }
  return error instanceof TypeError ? t('sipx does not answer.') : error.message;
}

/** `refused`: the link that brought us here did not let us in. */
export function LoginPage({refused = false}) {
  const {auth} = outside.value;
  const [way, setWay] = useState(auth === 'password' ? 'password' : 'token');
  const [proof, setProof] = useState({token: '', user: '', password: ''});
  const [problem, setProblem] = useState(refused ? t('This link is not valid any more: a link lets one in once, and for a while.') : '');
  const [busy, setBusy] = useState(false);
  const [wait, setWait] = useState(0);
  const put = (name) => (value) => setProof((before) => ({...before, [name]: value ?? ''}));

  async function submit(event) {
    event.preventDefault();
    if (busy || wait) return;
    setBusy(true);
    setProblem('');
    try {
      const {token, user, password} = proof;
      await login(way === 'token' ? {token: token.trim().replace(/^.*[#&?]token=/, '')} : {user, password});
    } catch (error) {
      setProblem(inWords(error, way));
      setWait(error.wait || 0);
      setBusy(false);
    }
  }

  // Who has to wait cannot try meanwhile, and sees when the wait is over.
  useEffect(() => {
    if (!wait) return undefined;
    const clock = setTimeout(() => { setWait(0); setProblem(''); }, wait * 1000);
    return () => clearTimeout(clock);
  }, [wait]);
  const problems = problem ? [problem] : [];

  return html`<main class="login">
    <form class="login-box" onSubmit=${submit}>
      <h1><${Logo} /> sipx</h1>
      ${over.value && html`<p role="status">${t('The session has ended. Log on, and the page is as it was.')}</p>`}
      ${auth === 'proxy-header' && html`<p>${t('Who may enter is decided by the web server in front of this console. It has named nobody.')}</p>`}
      ${auth !== 'token' && html`<${Tabs} label=${t('How to log on')} value=${way} onChange=${(next) => { setWay(next); if (!wait) setProblem(''); }}
        items=${[{id: 'password', title: t('Password')}, {id: 'token', title: t('Link or token')}]} />`}
      ${way === 'token' ? html`
        <${Field} label=${t('Token, or the whole link')} widget="secret" plain value=${proof.token} onChange=${put('token')}
          problems=${problems} autocomplete="off" autofocus />
        <p class="muted">${t('A new link comes from the command line of the machine:')}</p>
        <${Command} text="sipx console url" />` : html`
        <${Field} label=${t('User')} value=${proof.user} onChange=${put('user')} autocomplete="username" autofocus />
        <${Field} label=${t('Password')} widget="secret" plain value=${proof.password} onChange=${put('password')}
          problems=${problems} autocomplete="current-password" />`}
      <${Button} kind="primary" type="submit" busy=${busy} disabled=${wait > 0}>${t('Log on')}<//>
    </form>
  </main>`;
}
