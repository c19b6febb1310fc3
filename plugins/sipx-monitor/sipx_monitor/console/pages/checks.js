// Checks: what `sipx check` finds, area by area, and edits that put it right.
import {
  Badge, Busy, Button, Card, Empty, Icon, Page, Select, call, can, draft, fmt, hooks, html, registerPage, t,
  toast, useTopic,
} from 'sipx';
import {needs, useElapsed} from '../parts/settings/acting.js';
import {Findings} from '../parts/settings/states.js';

const COMMAND = 'sipx check';
const ORDER = {failure: 0, warning: 1, ok: 2};

/** Put the edits of a remedy into the draft. */
function fix(finding) {
  for (const edit of finding.fix) {
    if (edit.op === 'set') draft.set(edit.key, edit.value);
    else if (edit.op === 'unset') draft.unset(edit.key);
    else if (edit.op === 'add_table') draft.addTable(edit.key, edit.value, edit.comment ?? '');
    else if (edit.op === 'remove_table') draft.removeTable(edit.key);
  }
  toast(t('The remedy stands in the draft: look at it, save and apply.'), {
    kind: 'ok',
    undo: () => finding.fix.forEach((edit) => draft.revert(edit.key)),
  });
}

function Fix({finding}) {
  if (!finding.fix?.length) return null;
  const drafted = finding.fix.every((edit) => draft.isChanged(edit.key) || draft.isRemoved(edit.key));
  return html`<p>
    ${drafted
      ? html`<${Badge} kind="info" text=${t('In the draft')} />`
      : html`<${Button} small icon="edit" onClick=${() => fix(finding)} ...${needs('admin')}>
          ${t('Put it right in the draft')}
        <//>`}
    ${' '}<code>${finding.fix.map((edit) => edit.key).join(', ')}</code>
  </p>`;
}

function Area({area, findings}) {
  const worst = Math.min(...findings.map((one) => ORDER[one.severity] ?? 2));
  const kind = ['bad', 'warn', 'ok'][worst];
  const counts = ['failure', 'warning', 'ok'].map((severity) => findings.filter((one) => one.severity === severity).length);
  const text = counts[0]
    ? t('{count} failed', {count: counts[0]})
    : counts[1] ? (counts[1] === 1 ? t('1 warning') : t('{count} warnings', {count: counts[1]})) : t('OK');
  return html`<${Card} title=${area} actions=${html`<${Badge} kind=${kind} text=${text} />`}>
    <${Findings} findings=${findings} action=${(finding) => html`<${Fix} finding=${finding} />`} />
  <//>`;
}

/** The areas in the order of the worst finding. */
function grouped(findings, shown) {
  const areas = new Map();
  for (const finding of findings) {
    if (shown === 'problems' && finding.severity === 'ok') continue;
    areas.set(finding.area, [...(areas.get(finding.area) ?? []), finding]);
  }
  const worst = (list) => Math.min(...list.map((one) => ORDER[one.severity] ?? 2));
  return [...areas].sort(([a, x], [b, y]) => worst(x) - worst(y) || a.localeCompare(b));
}

function Summary({findings, when}) {
  const failures = findings.filter((one) => one.severity === 'failure').length;
  const warnings = findings.filter((one) => one.severity === 'warning').length;
  const kind = failures ? 'bad' : warnings ? 'warn' : 'ok';
  const text = failures
    ? t('{failures} failed, {warnings} warnings.', {failures, warnings})
    : warnings ? (warnings === 1 ? t('1 warning, nothing failed.') : t('{warnings} warnings, nothing failed.', {warnings})) : t('All checks passed.');
  return html`<p class=${`remark ${kind}`} role="status">
    <${Icon} name=${kind} /> ${text}${' '}
    <span class="muted">${t('Checked at {time}', {time: fmt.clock(when)})}</span>
  </p>`;
}

/** The last run, kept while one goes to other pages and comes back. */
let last = null;

function Checks() {
  const [result, setResult] = hooks.useState(last);
  const [running, setRunning] = hooks.useState(false);
  const [problem, setProblem] = hooks.useState('');
  const [shown, setShown] = hooks.useState('problems');
  const elapsed = useElapsed(running);
  const config = useTopic('config', {}).state;
  const run = async () => {
    setRunning(true);
    setProblem('');
    try {
      const {findings} = await call('check.run', {});
      last = {findings, when: Date.now() / 1000, etag: config?.etag};
      setResult(last);
    } catch (error) {
      setProblem(error.message);
    } finally {
      setRunning(false);
    }
  };
  hooks.useEffect(() => {
    if (!last && can('operator')) void run();
  }, []);
  const areas = result ? grouped(result.findings, shown) : [];
  const stale = result?.etag && config?.etag && result.etag !== config.etag;
  return html`<${Page}
    title=${t('Checks')}
    lead=${t('What is wrong, or soon will be: the configuration, certificates, the DNS, the machine.')}
    help="operations"
    command=${COMMAND}
    actions=${html`<${Select}
        label=${t('What is shown')}
        value=${shown}
        onChange=${setShown}
        options=${[['problems', t('only problems')], ['all', t('everything')]]}
      />
      <${Button} kind="primary" icon="play" busy=${running} onClick=${run} ...${needs('operator')}>${t('Run again')}<//>`}
  >
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    ${running && html`<${Busy} text=${t('Checking, {seconds} s: name servers, certificates, interfaces…', {seconds: Math.floor(elapsed)})} />`}
    ${stale && html`<p class="remark warn"><${Icon} name="warn" /> ${t('The file has changed since: run the checks again.')}</p>`}
    ${!result && !running && !problem &&
    html`<${Empty} level=${2} title=${t('No checks have been run')} text=${t('Somebody who may operate sipx runs them.')} />`}
    ${result && html`<${Summary} findings=${result.findings} when=${result.when} />`}
    ${areas.map(([area, findings]) => html`<${Area} key=${area} area=${area} findings=${findings} />`)}
    ${result && !areas.length && result.findings.length > 0 &&
    html`<p class="muted">${t('{count} things were looked at, and all are as they should be.', {count: fmt.number(result.findings.length)})}</p>`}
  <//>`;
}

registerPage({
  id: 'checks', title: 'Checks', group: 'run', order: 10, icon: 'check', Page: Checks,
  help: 'operations', command: COMMAND,
});
