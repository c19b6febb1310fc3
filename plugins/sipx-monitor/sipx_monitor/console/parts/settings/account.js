// One account of a UC server: its properties, and a new one.
import {Button, Dialog, Setting, draft, html, t} from 'sipx';
import {needs} from './acting.js';
import {AddDialog, filled} from './adding.js';
import {table} from './keys.js';

export function AccountProperties({row, remove, onClose}) {
  const {key} = row;
  const actions = html`
    <${Button} kind="danger" icon="trash" onClick=${() => remove(row)} ...${needs('admin')}>${t('Remove')}<//>
    ${draft.isChanged(key) &&
    html`<${Button} icon="undo" onClick=${() => draft.revert(key)}>${t('Revert this account')}<//>`}
    <${Button} kind="primary" onClick=${onClose}>${t('Done')}<//>
  `;
  return html`<${Dialog} title=${t('Account {name}', {name: row.name})} onClose=${onClose} actions=${actions} wide>
    <div class="settings">
      <${Setting} k=${`${key}.enabled`} label=${t('Activate')} />
      <${Setting} k=${`${key}.kind`} label=${t('Kind')} />
      <${Setting} k=${`${key}.user`} label=${t('User name')} />
      <${Setting} k=${`${key}.password`} label=${t('Password')} />
      <${Setting} k=${`${key}.users`} label=${t('Its users')} />
      <${Setting} k=${`${key}.weight`} label=${t('Share of the users')} />
      <${Setting} k=${`${key}.max_users`} label=${t('Most users')} />
      <${Setting} k=${`${key}.comment`} label=${t('Comment')} />
      <details>
        <summary>${t('Certificate and address')}</summary>
        <${Setting} k=${`${key}.certificate`} label=${t('Name its certificate proves')} widget="domain" />
        <${Setting} k=${`${key}.ca`} label=${t('Authorities')} />
        <${Setting} k=${`${key}.pins`} label=${t('Pinned keys')} />
        <${Setting} k=${`${key}.addresses`} label=${t('Addresses it may come from')} />
        <${Setting} k=${`${key}.allow_md5`} label=${t('Allow MD5')} />
      </details>
      <details>
        <summary>${t('When sipx connects to it')}</summary>
        <${Setting} k=${`${key}.server`} label=${t('Server')} />
        <${Setting} k=${`${key}.port`} label=${t('Port')} />
        <${Setting} k=${`${key}.protocol`} label=${t('Protocol')} />
      </details>
      <details>
        <summary>${t('Untrusted routes')}</summary>
        <${Setting} k=${`${key}.routes`} label=${t('Domains whose requests it authorises')} />
      </details>
    </div>
  <//>`;
}

export function AddAccount({onClose}) {
  const fields = () => [
    {
      name: 'name', label: t('Name'), required: true, autofocus: true,
      help: t('Of the account, such as the site. It is the user name as well unless you give another.'),
    },
    {name: 'user', label: t('User name'), mono: true},
    {
      name: 'password', label: t('Password'), widget: 'secret',
      help: t('Typed here it stands in the file. From a file beside it is safer.'),
    },
    {
      name: 'users', label: t('Its users'), mono: true, placeholder: '*.berlin, reception',
      help: t('Names or patterns, separated by commas; empty: everybody in your domains.'),
    },
    {
      name: 'kind', label: t('Kind'),
      options: [
        ['server', t('UC server')],
        ['user', t('User who logs on alone')],
        ['partner', t('Partner: only for untrusted routes')],
      ],
    },
    {name: 'comment', label: t('Comment')},
  ];
  const build = ({name = '', users = '', ...values}) => {
    const wanted = name.trim();
    if (!wanted) return {problems: {name: [t('Give it a name.')]}};
    if (draft.tables('lan.server').includes(wanted)) {
      return {problems: {name: [t('There is an account of this name.')]}};
    }
    const list = users.split(',').map((each) => each.trim()).filter(Boolean);
    if (values.kind === 'server') delete values.kind;
    return {key: table('lan.server', wanted), values: filled({...values, users: list})};
  };
  return html`<${AddDialog}
    title=${t('Add an account')}
    fields=${fields}
    initial=${{name: '', user: '', password: '', users: '', kind: 'server', comment: ''}}
    build=${build}
    onClose=${onClose}
  />`;
}
