// The log as it comes: a list that follows its end, stops when somebody reads, and counts meanwhile.
import {
  Badge, Button, Icon, Select, fmt, hooks, html, keys, navigate, subscribe, t, useCall,
} from 'sipx';
import {saveText} from './acting.js';

const KEPT = 2000;
export const LEVELS = ['error', 'warning', 'info', 'debug', 'trace'];
const SHORT = {error: 'E', warning: 'W', info: 'I', debug: 'D', trace: 'T'};

/** The lines that fit, the last ones of them. */
function useLines(wanted, paused) {
  const [lines, setLines] = hooks.useState([]);
  const [missed, setMissed] = hooks.useState(0);
  const [error, setError] = hooks.useState(null);
  const held = hooks.useRef([]);
  const stopped = hooks.useRef(paused);
  const next = hooks.useRef(0);
  stopped.current = paused;
  hooks.useEffect(() => {
    held.current = [];
    setLines([]);
    setMissed(0);
    setError(null);
    return subscribe(
      'log',
      {count: 500, level: wanted.level, area: wanted.area, grep: wanted.grep},
      ({batch = [], dropped = 0}) => {
        const fresh = batch.map((line) => ({...line, id: next.current++}));
        if (dropped) setMissed((before) => before + dropped);
        if (stopped.current) {
          held.current = [...held.current, ...fresh].slice(-KEPT);
          setMissed((before) => before);
        } else setLines((before) => [...before, ...fresh].slice(-KEPT));
      },
      {onError: setError},
    );
  }, [wanted.level, wanted.area, wanted.grep]);
  const waiting = () => held.current.length;
  const release = () => {
    const fresh = held.current;
    held.current = [];
    setLines((before) => [...before, ...fresh].slice(-KEPT));
  };
  return {lines, missed, error, waiting, release, clear: () => setLines([])};
}

function Line({line}) {
  const [open, setOpen] = hooks.useState(false);
  const fields = Object.entries(line.fields ?? {});
  const more = fields.length > 0 || line.traceback;
  return html`<li class=${`log-line ${line.level}`}>
    <span class="log-time">${fmt.clock(line.time, true)}</span>
    <span class="log-level" title=${line.level}><span aria-hidden="true">${SHORT[line.level] ?? '?'}</span>
      <span class="unseen">${line.level}</span></span>
    <span class="log-area">${line.area.replace(/^sipx\./, '')}</span>
    <span class="log-text">
      ${line.text}
      ${more &&
      html` <button type="button" class="link-button" aria-expanded=${open} onClick=${() => setOpen(!open)}>
        ${open ? t('less') : t('more')}
      </button>`}
      ${open &&
      html`<dl class="log-fields">
        ${fields.map(
          ([name, value]) => html`<div>
            <dt>${name}</dt>
            <dd>
              ${String(value)}
              ${name === 'call_id' &&
              html` <button type="button" class="link-button" onClick=${() => navigate('live', {filter: `callid:${value}`})}>
                ${t('messages')}
              </button>`}
            </dd>
          </div>`,
        )}
      </dl>
      ${line.traceback && html`<pre tabindex="0">${line.traceback}</pre>`}`}
    </span>
  </li>`;
}

function asText(lines) {
  return lines.map((line) => `${new Date(line.time * 1000).toISOString()} ${line.level} ${line.area}: ${line.text}\n`);
}

export function Follow() {
  const [typed, setTyped] = hooks.useState('');
  const [wanted, setWanted] = hooks.useState({level: 'info', area: 'sipx', grep: ''});
  const [paused, setPaused] = hooks.useState(false);
  const [, setTick] = hooks.useState(0);
  const areas = useCall('log.levels', {}).data?.levels ?? [];
  const {lines, missed, error, waiting, release, clear} = useLines(wanted, paused);
  const list = hooks.useRef(null);
  const atEnd = hooks.useRef(true);
  const box = hooks.useRef(null);
  hooks.useEffect(() => {
    const timer = setTimeout(() => setWanted((before) => ({...before, grep: typed.trim()})), 250);
    return () => clearTimeout(timer);
  }, [typed]);
  hooks.useLayoutEffect(() => {
    if (atEnd.current && list.current) list.current.scrollTop = list.current.scrollHeight;
  }, [lines]);
  hooks.useEffect(() => {
    if (!paused) return undefined;
    const timer = setInterval(() => setTick((before) => before + 1), 500);
    return () => clearInterval(timer);
  }, [paused]);
  const toggle = () => {
    if (paused) release();
    atEnd.current = true;
    setPaused(!paused);
  };
  const latest = hooks.useRef(toggle);
  latest.current = toggle;
  hooks.useLayoutEffect(() => {
    const bound = [
      keys.bind('p', () => latest.current(), {page: 'logs', label: t('Pause')}),
      keys.bind('/', () => box.current?.focus(), {page: 'logs', label: t('Filter')}),
    ];
    return () => bound.forEach((unbind) => unbind());
  }, []);
  const scrolled = ({currentTarget: {scrollTop, scrollHeight, clientHeight}}) => {
    atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
  };
  return html`
    <div class="toolbar">
      <span class="search">
        <${Icon} name="search" />
        <input
          ref=${box}
          type="search"
          class="input"
          value=${typed}
          placeholder=${t('Text in the line, such as a Call-ID')}
          aria-label=${t('Text in the line')}
          onInput=${(event) => setTyped(event.currentTarget.value)}
        />
      </span>
      <${Select}
        label=${t('Least important level')}
        value=${wanted.level}
        onChange=${(level) => setWanted({...wanted, level})}
        options=${LEVELS.map((level) => [level, t('{level} and worse', {level})])}
      />
      <${Select}
        label=${t('Area')}
        value=${wanted.area}
        onChange=${(area) => setWanted({...wanted, area})}
        options=${[['sipx', t('all areas')], ...areas.filter((one) => one.area !== 'sipx').map((one) => [one.area, one.area.replace(/^sipx\./, '')])]}
      />
      <span class="spacer"></span>
      ${missed > 0 && html`<${Badge} kind="warn" text=${t('{count} lines missed', {count: fmt.number(missed)})} />`}
      <${Button} icon=${paused ? 'play' : 'pause'} onClick=${toggle}>
        ${paused ? t('Go on ({count} waiting)', {count: fmt.number(waiting())}) : t('Pause')}
      <//>
      <${Button} onClick=${clear}>${t('Clear the list')}<//>
      <${Button} icon="download" title=${t('Save what is shown')} onClick=${() => saveText('sipx-log.txt', asText(lines))} />
    </div>
    ${error && html`<p class="problem" role="alert">${error.message}</p>`}
    <ol class="log-lines" ref=${list} onScroll=${scrolled} tabindex="0" aria-label=${t('Lines of the log')}>
      ${lines.map((line) => html`<${Line} key=${line.id} line=${line} />`)}
      ${lines.length === 0 &&
      html`<li class="log-none muted">
        ${wanted.grep || wanted.level !== 'trace'
          ? t('No line fits. New ones appear as they come.')
          : t('Nothing has been logged yet.')}
      </li>`}
    </ol>
    <p class="muted" role="status">${t('{count} lines', {count: fmt.number(lines.length)})}</p>
  `;
}
