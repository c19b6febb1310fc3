/** The proxy service: its state, starting and stopping it, reloading, what systemd says. */
import {
  Badge, Busy, Button, Card, Dialog, Empty, KeyValue, Page, Trouble, call, can, confirm, failed, fmt, hooks, html,
  registerPage, t, toast, useCall, useNow, useTopic,
} from 'sipx';
import {reload as reloadFile} from '../core/moving.js';
import {Consequences} from '../parts/consequences.js';
import {needs} from '../parts/settings/acting.js';

const {useState} = hooks;

function StateBadge({state}) {
  const known = {
    running: ['ok', t('runs')], starting: ['busy', t('starting')], draining: ['busy', t('ending')],
    stopped: ['off', t('stopped')],
  };
  const [kind, text] = known[state] ?? ['warn', state];
  return html`<${Badge} kind=${kind} text=${text} />`;
}

/** What is asked before, and what is said after. */
function questions() {
  const drain = t('What is under way may finish first.');
  return {
    'service.stop': {
      title: t('Stop the proxy service?'), action: t('Stop'), danger: true, done: t('The proxy service has stopped.'),
      text: html`<p>${t('All interfaces are closed. Until it is started again, no message and no call gets through.')} ${drain}</p>
        <p>${t('The process stays, and with it this console: Start brings the service back.')}</p>`,
    },
    'service.restart': {
      title: t('Restart the proxy service?'), action: t('Restart'), danger: true, done: t('The proxy service runs again.'),
      text: html`<p>${t('All interfaces are closed and opened again; connections end, and servers log on anew.')} ${drain}</p>`,
    },
    'service.start': {done: t('The proxy service runs.')},
    'process.stop': {
      title: t('End the process?'), action: t('End the process'), danger: true, done: t('The process ends.'),
      text: html`<p>${t('The proxy service stops, and this console goes with the process. Only the machine can start it again:')}</p>
        <p><code>sipx service start</code></p>`,
    },
  };
}

function ServicePage() {
  const {state: status, error} = useTopic('status');
  const {state: facts} = useTopic('service');
  const [busy, setBusy] = useState('');
  if (!status) {
    return html`<${Page} title=${t('Service')} help="operations">
      ${error ? html`<${Trouble} error=${error} />` : html`<${Busy} />`}<//>`;
  }
  const {service} = status;
  const off = !can('operator');
  const why = off ? t('Only an operator or an administrator does that.') : undefined;

  async function run(method) {
    const {done, ...question} = questions()[method];
    if (question.title && !await confirm(question)) return;
    setBusy(method);
    try {
      await call(method);
      toast(done, {kind: 'ok'});
    } catch (failure) {
      failed(failure);
    } finally {
      setBusy('');
    }
  }
  const stopped = service.state === 'stopped';
  const button = (method, icon, text, disabled, kind = 'plain') => html`<${Button} kind=${kind} icon=${icon}
    busy=${busy === method} disabled=${off || disabled || busy !== ''} title=${why} onClick=${() => run(method)}>${text}<//>`;
  return html`<${Page} title=${t('Service')} help="operations" command="sipx service status"
      lead=${t('The proxy service carries SIP. It starts and stops inside the process, which also carries this console.')}
      actions=${html`${button('service.start', 'play', t('Start'), !stopped, stopped ? 'primary' : 'plain')}
        ${button('service.stop', 'stop', t('Stop'), stopped)}
        ${button('service.restart', 'reload', t('Restart'), stopped)}`}>
    <${State} status=${status} facts=${facts} />
    <${Reload} service=${service} />
    <${Systemd} facts=${facts} />
    <${Card} title=${t('Process')} lead=${t('For an update of sipx, and for settings that need a restart of the process.')}>
      <div class="row">${can('admin') ? html`<${Button} kind="danger" icon="power" busy=${busy === 'process.stop'}
        onClick=${() => run('process.stop')}>${t('End the process')}<//>`
    : html`<p class="muted">${t('Only an administrator ends the process.')}</p>`}</div>
    <//>
  <//>`;
}

function State({status, facts}) {
  const now = useNow(1);
  const {service, interfaces, flows, transactions} = status;
  const up = interfaces.filter(({state}) => state === 'listening').length;
  const active = (transactions?.servers ?? 0) + (transactions?.clients ?? 0);
  return html`<${Card} title=${t('State')} icon="power" actions=${html`<${StateBadge} state=${service.state} />`}>
    <${KeyValue} rows=${[
    [t('Version'), service.version],
    [t('Process'), service.pid, {mono: true}],
    [t('The process runs for'), t('{time}, since {date}', {time: fmt.duration(now - service.started), date: fmt.time(service.started)})],
    facts && [t('User'), facts.user],
    [t('Domains'), service.domains.join(', ')],
    [t('Interfaces'), t('{up} of {all} listen', {up, all: interfaces.length})],
    [t('Under way'), t('{n} transactions, {m} connections', {n: fmt.number(active), m: fmt.number(flows.open)})],
    facts && [t('Memory'), fmt.bytes(facts.memory)],
    facts && [t('Processor time'), fmt.duration(facts.cpu)],
    [t('Configuration'), service.config, {mono: true, copy: true}],
  ]} />
  <//>`;
}

function Reload({service}) {
  const [asked, setAsked] = useState(false);
  const {reload} = service;
  return html`<${Card} title=${t('Configuration file')} icon="file"
      actions=${html`<${Button} icon="reload" onClick=${() => setAsked(true)} ...${needs('operator')}>${t('Reload …')}<//>`}
      lead=${t('What is saved here is in use at once. A reload takes up what was edited with another program.')}>
    <${KeyValue} rows=${[
    [t('Read again'), reload.count ? t('{n} times since the start', {n: reload.count}) : t('not since the start')],
    reload.last && [t('The last time'), fmt.time(reload.last)],
    reload.error && [t('It failed'), html`<span class="problem">${reload.error}</span>`],
  ]} />
    ${asked && html`<${ReloadDialog} onClose=${() => setAsked(false)} />`}
  <//>`;
}

function ReloadDialog({onClose}) {
  const {data: plan, error, loading} = useCall('reload.plan');
  const [busy, setBusy] = useState(false);
  async function reload() {
    setBusy(true);
    try {
      await reloadFile();
      toast(t('The configuration file is in use as it is now.'), {kind: 'ok'});
      onClose();
    } catch (failure) {
      failed(failure);
      setBusy(false);
    }
  }
  const keys = plan ? [...plan.added, ...plan.changed, ...plan.removed] : [];
  return html`<${Dialog} title=${t('Reload the configuration file')} onClose=${onClose}
      actions=${html`<${Button} onClick=${onClose}>${t('Cancel')}<//>
        <${Button} kind="primary" icon="reload" busy=${busy} disabled=${!plan || Boolean(error)} onClick=${reload}>${t('Reload')}<//>`}>
    ${loading && html`<${Busy} />`}
    ${error && html`<${Trouble} error=${error} />`}
    ${plan && !keys.length && html`<${Empty} icon="ok" title=${t('Nothing is different')}
      text=${t('What runs is what the file says. A reload reads certificates and other files anew.')} />`}
    ${keys.length > 0 && html`<p>${t('These settings are another in the file:')}</p>
      <ul class="keylist">${keys.map((key) => html`<li key=${key}><code>${key}</code></li>`)}</ul>
      <${Consequences} plan=${plan} />`}
  <//>`;
}

function Systemd({facts}) {
  if (!facts) return null;
  const unit = facts.systemd;
  return html`<${Card} title="systemd" icon="server">
    ${unit ? html`<${KeyValue} rows=${Object.entries(unit).filter(([, value]) => value !== null && typeof value !== 'object')
    .map(([name, value]) => [names()[name] ?? name, String(value), {mono: typeof value === 'string'}])} />`
    : html`<p class="muted">${t('This process was not started by systemd.')} ${t('A unit is written by:')} <code>sipx service install</code></p>`}
  <//>`;
}

function names() {
  return {
    unit: t('Unit'), manager: t('Manager'), path: t('File'), active: t('Active'), sub: t('Substate'),
    enabled: t('Starts with the machine'), restarts: t('Restarts'), result: t('Result'), status: t('Status'),
  };
}

registerPage({id: 'service', title: 'Service', group: 'run', order: 20, icon: 'power', Page: ServicePage,
  help: 'operations', command: 'sipx service status'});
