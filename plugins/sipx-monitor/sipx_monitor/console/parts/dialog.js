/** Dialogs on <dialog>: the browser keeps the focus in them and gives it back. */
import {classes, html, hooks, signal, useId} from '../core/base.js';
import {t} from '../core/i18n.js';
import {Button} from './button.js';
import {Icon} from './icon.js';

const {useLayoutEffect, useRef} = hooks;

/**
 * `<Dialog title onClose actions wide>…</Dialog>`. With `onSubmit` its content is a form that the
 * Enter key sends. `plain` leaves out the head, and the title is only heard.
 */
export function Dialog({title, onClose, actions, wide = false, plain = false, onSubmit, children}) {
  const element = useRef(null);
  const id = useId('dialog');
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    (dialog.querySelector('[autofocus]') ?? dialog.querySelector('.dialog-body')).focus();
    return () => dialog.close();
  }, []);
  const content = html`
    ${!plain && html`<div class="dialog-head"><h2 id=${id}>${title}</h2>
      <button type="button" class="icon-button" aria-label=${t('Close')} onClick=${onClose}><${Icon} name="close" /></button></div>`}
    <div class="dialog-body" tabindex=${plain ? undefined : '-1'}>${children}</div>
    ${actions && html`<div class="dialog-actions">${actions}</div>`}`;
  return html`<dialog ref=${element} class=${classes('dialog', wide && 'dialog-wide', plain && 'dialog-plain')}
      aria-labelledby=${plain ? undefined : id} aria-label=${plain ? title : undefined}
      onCancel=${(event) => { event.preventDefault(); onClose(); }}
      onKeyDown=${(event) => event.stopPropagation()}
      onMouseDown=${(event) => { if (plain && event.target === element.current) onClose(); }}>
    ${onSubmit ? html`<form onSubmit=${(event) => { event.preventDefault(); onSubmit(event); }}>${content}</form>`
      : html`<div class="dialog-frame">${content}</div>`}
  </dialog>`;
}

const questions = signal([]);

/** Ask before something is done: `await confirm({title, text, action, danger})` gives true or false. */
export function confirm(question) {
  return new Promise((resolve) => { questions.value = [...questions.value, {...question, resolve}]; });
}

function answer(question, yes) {
  questions.value = questions.value.filter((one) => one !== question);
  question.resolve(yes);
}

/** Where questions are shown; stands once in the shell. */
export function Dialogs() {
  return questions.value.map((one) => html`<${Dialog} key=${one.title} title=${one.title} onClose=${() => answer(one, false)}
      actions=${html`<${Button} onClick=${() => answer(one, false)} autofocus=${one.danger}>${t('Cancel')}<//>
        <${Button} kind=${one.danger ? 'danger' : 'primary'} onClick=${() => answer(one, true)} autofocus=${!one.danger}>
          ${one.action ?? t('OK')}<//>`}>
    ${typeof one.text === 'string' ? html`<p>${one.text}</p>` : one.text}
  <//>`);
}
