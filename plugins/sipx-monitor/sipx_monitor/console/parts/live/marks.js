// A mark is a colour and a note; it is kept by the server, with the messages and in exports.

import {Button, Dialog, call, hooks, html, t} from 'sipx';
import {MARKS, markName} from './words.js';

const {useState} = hooks;

export function MarkDialog({seqs, colour: first, note: begun, capture, onDone, onClose}) {
  const [colour, setColour] = useState(first || 'yellow');
  const [note, setNote] = useState(begun || '');
  const [problem, setProblem] = useState('');
  const send = async (wanted, text) => {
    try {
      await call('monitor.mark', {seqs, colour: wanted, note: text, capture});
      onDone(wanted, text);
    } catch (error) {
      setProblem(error.message);
    }
  };
  const actions = html`
    ${first ? html`<${Button} kind="plain" onClick=${() => send('', '')}>${t('Remove the mark')}<//>` : null}
    <${Button} kind="plain" onClick=${onClose}>${t('Cancel')}<//>
    <${Button} kind="primary" onClick=${() => send(colour, note)}>${t('Mark')}<//>`;
  return html`
    <${Dialog} title=${seqs.length === 1 ? t('Mark message {seq}', {seq: seqs[0]}) : t('Mark {count} messages', {count: seqs.length})} onClose=${onClose} actions=${actions}>
      <form onSubmit=${event => { event.preventDefault(); send(colour, note); }}>
        <fieldset class="live-colours"><legend>${t('Colour')}</legend>
          ${MARKS.map(one => html`<label key=${one} class="live-colour"><input type="radio" name="live-mark" value=${one} checked=${one === colour} onChange=${() => setColour(one)} />
            <span class=${`live-mark m-${one}`} aria-hidden="true"></span>${markName(one)}</label>`)}</fieldset>
        <label class="live-field">${t('Note')}<input type="text" maxlength="200" value=${note} onInput=${event => setNote(event.target.value)} /></label>
        ${problem ? html`<p class="live-problem" role="alert">${problem}</p>` : null}
      </form>
    <//>`;
}
