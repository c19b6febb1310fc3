/** What one prefers, which keys there are, and logging out. */
import {html, prefer, preferences} from './base.js';
import {draft, forget} from './draft.js';
import {KeyList} from './keylist.js';
import {LANGUAGES, t} from './i18n.js';
import {disconnect} from './link.js';
import {logout, session} from './session.js';
import {Button} from '../parts/button.js';
import {Dialog, confirm} from '../parts/dialog.js';
import {Field} from '../parts/field.js';
import {KeyValue} from '../parts/keyvalue.js';
import {failed} from '../parts/toast.js';

export function PreferencesDialog({onClose}) {
  const {user, role, version} = session.value ?? {};
  const roles = {viewer: t('Viewer'), operator: t('Operator'), admin: t('Administrator')};
  async function leave() {
    if (draft.count.value && !await confirm({title: t('Log out without saving?'),
      text: t('The draft ends with the session: whoever logs on next does not see it.'),
      action: t('Log out'), danger: true})) return;
    try {
      await logout();
      disconnect();
      forget();
    } catch (error) {
      failed(error);
    }
  }
  return html`<${Dialog} title=${t('You and this browser')} onClose=${onClose}
      actions=${html`<${Button} icon="leave" onClick=${leave}>${t('Log out')}<//>
        <${Button} kind="primary" onClick=${onClose}>${t('Close')}<//>`}>
    <${KeyValue} rows=${[[t('User'), user || t('who has the link')], [t('Role'), roles[role] ?? role], [t('Version'), version]]} />
    <${Field} label=${t('Language')} value=${preferences.value.language} onChange=${(value) => prefer({language: value})}
      options=${[['', t('As configured')], ...Object.entries(LANGUAGES)]} />
    <${Field} label=${t('Theme')} value=${preferences.value.theme} onChange=${(value) => prefer({theme: value})}
      options=${[['', t('As configured')], ['light', t('Light')], ['dark', t('Dark')]]} />
    <${Field} label=${t('Single letters are keys')} widget="switch" value=${preferences.value.singleKeys}
      help=${t('Off for voice input and where letters are pressed by mistake.')}
      onChange=${(value) => prefer({singleKeys: value})} />
    <${Field} label=${t('Show the bar of keys')} widget="switch" value=${preferences.value.hints}
      onChange=${(value) => prefer({hints: value})} />
    <${KeyList} />
  <//>`;
}
