/** The bar at the bottom: what is drafted, what it means, and saving it. */
import {html, hooks, classes} from './base.js';
import {Mine, Others} from './conflict.js';
import {conflict, draft, edits, verdict} from './draft.js';
import {check, readFile, save, saving, undo} from './draftcheck.js';
import {t} from './i18n.js';
import {can} from './session.js';
import {Badge} from '../parts/badge.js';
import {Button} from '../parts/button.js';
import {Dialog, confirm} from '../parts/dialog.js';
import {Consequences, consequences} from '../parts/consequences.js';
import {Diff} from '../parts/diff.js';
import {failed, toast} from '../parts/toast.js';

const {useEffect, useRef, useState} = hooks;

function many(n) {
  return n === 1 ? t('1 change') : t('{n} changes', {n});
}

export function DraftBar() {
  const [diff, setDiff] = useState(false);
  const n = draft.count.value;
  const shown = n > 0 || Boolean(conflict.value);
  const was = useRef(shown);
  useEffect(() => {
    // The button that was pressed goes with the bar: whoever uses keys goes on in the page.
    if (was.current && !shown && document.activeElement === document.body) document.getElementById('main')?.focus({preventScroll: true});
    was.current = shown;
  }, [shown]);
  if (!shown) return null;
  return html`<section class=${classes('draftbar', verdict.value.state === 'bad' && 'draftbar-bad')} aria-label=${t('Draft')}>
    ${conflict.value ? html`<${Conflict} />` : html`
    <div class="draftbar-words">
      <strong>${draft.locked.value ? t('The text of the file is edited') : many(n)}</strong>
      <${Verdict} />
    </div>
    <div class="draftbar-buttons">
      <${Button} kind="ghost" icon="undo" onClick=${() => draft.back()} title=${t('Take back the last change of the draft')}>${t('Back')}<//>
      <${Button} kind="plain" icon="check" onClick=${checkNow}>${t('Check')}<//>
      <${Button} kind="plain" icon="diff" onClick=${async () => { await check(); setDiff(true); }}>${t('Show diff')}<//>
      <${Button} kind="plain" icon="trash" onClick=${discard}>${t('Discard')}<//>
      <${Button} kind="primary" icon="save" busy=${saving.value} onClick=${saveNow}
        disabled=${!can('admin') || verdict.value.state === 'bad'}>${t('Save and apply')}<//>
    </div>`}
    ${diff && html`<${DiffDialog} onClose=${() => setDiff(false)} />`}
  </section>`;
}

function Verdict() {
  const {state, plan, problems, error} = verdict.value;
  if (state === 'checking' || state === 'idle') return html`<${Badge} kind="busy" text=${t('checking')} />`;
  if (state === 'bad') {
    const [first] = problems;
    return html`<${Badge} kind="bad" text=${t('not valid')} /> <span class="draftbar-text">${first?.text ?? error.message}
      ${problems.length > 1 && ` ${t('(and {n} more)', {n: problems.length - 1})}`}</span>`;
  }
  const found = consequences(plan);
  return found.length
    ? found.map(([kind, text]) => html`<${Badge} key=${text} kind=${kind} text=${text} />`)
    : html`<${Badge} kind="ok" text=${t('valid, takes effect at once')} />`;
}

async function checkNow() {
  const found = await check();
  if (found.state === 'good') toast(t('The draft is valid.'), {kind: 'ok'});
  else if (found.error) failed(found.error);
}

/** Save, say so, and offer to undo it. */
export async function saveNow() {
  try {
    const done = await save();
    toast(done.version ? t('Saved as version {n}, and in use.', {n: done.version}) : t('Saved, and in use.'), {
      kind: 'ok', undo: done.version === 1 || !done.version ? undefined : () => takeBack(done.version - 1),
    });
  } catch (error) {
    if (!conflict.value) failed(error);
  }
}

async function takeBack(number) {
  try {
    await undo(number);
    toast(t('Version {n} is in use again.', {n: number}), {kind: 'ok'});
  } catch (error) {
    failed(error);
  }
}

function discard() {
  const kept = edits.value;
  draft.discard();
  toast(t('The draft was discarded.'), {undo: () => { edits.value = kept; }});
}

function DiffDialog({onClose}) {
  const {diff, plan, error, problems} = verdict.value;
  return html`<${Dialog} wide title=${t('What changes in the file')} onClose=${onClose}
      actions=${html`<${Button} kind="plain" onClick=${onClose}>${t('Close')}<//>
        <${Button} kind="primary" icon="save" disabled=${Boolean(error) || !can('admin')}
          onClick=${() => { onClose(); void saveNow(); }}>${t('Save and apply')}<//>`}>
    ${error && html`<ul class="problems" role="alert">${problems.length
      ? problems.map(({text}) => html`<li key=${text}>${text}</li>`) : html`<li>${error.message}</li>`}</ul>`}
    ${!error && html`<${Diff} lines=${diff} /><${Consequences} plan=${plan} />`}
  <//>`;
}

function Conflict() {
  const [look, setLook] = useState(false);
  async function rebaseNow() {
    if (draft.locked.value && !await confirm({title: t('Put your text in the place of the file?'),
      text: t('You edit the whole text, so what the other one has changed is undone when you save. Look at it first.'),
      action: t('Keep mine'), danger: true})) return;
    if (await readFile()) toast(t('Your changes now stand on the file as it is.'), {kind: 'ok'});
  }
  async function dropNow() {
    if (!await confirm({title: t('Discard your draft?'), text: t('The file stays as the other one left it.'),
      action: t('Discard'), danger: true})) return;
    draft.discard();
    await readFile();
  }
  return html`<div class="draftbar-words"><${Badge} kind="warn" text=${t('conflict')} />
      <span class="draftbar-text">${t('The file was changed meanwhile by somebody else. Nothing of yours is lost.')}</span></div>
    <div class="draftbar-buttons">
      <${Button} kind="plain" icon="diff" onClick=${() => setLook(true)}>${t('Look')}<//>
      <${Button} kind="plain" icon="trash" onClick=${dropNow}>${t('Discard mine')}<//>
      <${Button} kind="primary" onClick=${rebaseNow}>${t('Keep mine on top')}<//>
    </div>
    ${look && html`<${LookDialog} onClose=${() => setLook(false)} />`}`;
}

/** What both have: the last entries of the history, and the draft against the file as it is now. */
function LookDialog({onClose}) {
  return html`<${Dialog} wide title=${t('What happened to the file')} onClose=${onClose}
      actions=${html`<${Button} kind="primary" onClick=${onClose}>${t('Close')}<//>`}>
    <${Others} />
    <h3>${t('Your draft, on the file as it is now')}</h3>
    <${Mine} />
  <//>`;
}
