// Pages that belong to a plugin: what they show where it is not listed or switched off.
import {Badge, Button, Card, Empty, draft, html, t, useTopic} from 'sipx';
import {needs} from './acting.js';
import {listOf} from './keys.js';

/** What is known of a plugin: null while it is not known, else `{listed, drafted, state}`. */
export function usePlugin(name) {
  const {state} = useTopic('plugins', {});
  const drafted = listOf('plugins').includes(name);
  if (!state) return null;
  const found = state.plugins.find((plugin) => plugin.name === name);
  return {name, listed: found !== undefined, drafted, state: found?.state ?? '', plugin: found};
}

/** In the place of a page's content, where its plugin is not listed. */
export function PluginMissing({name, text, level = 3}) {
  const drafted = listOf('plugins').includes(name);
  const add = () => draft.set('plugins', [...listOf('plugins'), name]);
  const button = drafted
    ? html`<${Badge} kind="info" text=${t('In the draft: save and apply it')} />`
    : html`<${Button} kind="primary" icon="add" onClick=${add} ...${needs('admin')}>
        ${t('Use this plugin')}
      <//>`;
  return html`<${Empty}
    level=${level}
    icon="puzzle"
    title=${t('The plugin {name} is not in use', {name})}
    text=${text}
    action=${button}
  />`;
}

/** A page's content, or why it is not there. */
export function WithPlugin({name, text, children}) {
  const plugin = usePlugin(name);
  if (plugin && !plugin.listed && !plugin.drafted) {
    return html`<${Card}><${PluginMissing} name=${name} text=${text} level=${2} /><//>`;
  }
  return children;
}
