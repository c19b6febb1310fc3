// Where a certificate is used, and where it could be: each place is a switch on the draft.
import {Switch, draft, html, t} from 'sipx';
import {needs} from './acting.js';
import {listOf, table} from './keys.js';
import {secured} from './states.js';


/** The places of the draft that show a certificate: {key, label, list}. */
function placesOf() {
  const places = [{key: 'wan.certificate', label: t('WAN: all interfaces that name none')}];
  for (const name of draft.tables('interface')) {
    const key = table('interface', name);
    if (!secured(draft.value(`${key}.protocol`))) continue;
    places.push({key: `${key}.certificate`, label: t('Interface {name}', {name}), list: true});
  }
  const plugins = listOf('plugins');
  if (plugins.includes('open-federation')) {
    places.push({key: 'open-federation.certificate', label: t('Open federation')});
  }
  if (plugins.includes('lan') && secured(draft.value('lan.protocol'))) {
    places.push({key: 'lan.certificate', label: t('LAN')});
  }
  if (plugins.includes('monitor')) {
    places.push({key: 'monitor.certificate', label: t('This console')});
  }
  return places;
}

/** Whether a place names a certificate in the draft. */
function names(place, name) {
  return listOf(place.key).includes(name);
}

function change(place, name, wanted) {
  if (!wanted) {
    const rest = listOf(place.key).filter((each) => each !== name);
    if (rest.length) draft.set(place.key, rest.length === 1 ? rest[0] : rest);
    else draft.unset(place.key);
    return;
  }
  const others = place.list ? listOf(place.key).filter((each) => each !== name) : [];
  draft.set(place.key, others.length ? [...others, name] : name);
}

/** Switches for all places where it may be shown. */
export function CertificateUses({name}) {
  return html`<ul class="uses">
    ${placesOf().map((place) => {
      const others = listOf(place.key).filter((each) => each !== name);
      return html`<li key=${place.key}>
        <${Switch}
          checked=${names(place, name)}
          onChange=${(on) => change(place, name, on)}
          label=${place.label}
          ...${needs('admin')}
        />
        ${others.length > 0 &&
        html`<span class="muted">
          ${place.list
            ? t('beside {names}', {names: others.join(', ')})
            : t('now {names}', {names: others.join(', ')})}
        </span>`}
      </li>`;
    })}
  </ul>`;
}
