/** A text with line numbers, and marks at the lines that are wrong. */
import {classes, html, hooks} from '../core/base.js';
import {t} from '../core/i18n.js';

const {useEffect, useMemo, useRef} = hooks;
const HEIGHT = 20;

/** The numbers stand beside their lines. Scrolling is told a frame later: the text may be gone by then. */
function follow(text) {
  text.previousElementSibling.scrollTop = text.scrollTop;
}

/**
 * `marks` is a Map of line -> text. `goto` is {line}: a new object brings that line into sight and
 * selects it.
 */
export function Editor({value, onChange, readonly = false, marks = new Map(), goto: target, label}) {
  const area = useRef(null);
  const count = useMemo(() => value.split('\n').length, [value]);
  const marked = [...marks.keys()].join();
  const numbers = useMemo(() => Array.from({length: count}, (_, index) => html`<span key=${index}
    class=${classes(marks.has(index + 1) && 'editor-bad')} title=${marks.get(index + 1)}>${index + 1}</span>`), [count, marked]);

  useEffect(() => {
    if (!target?.line) return;
    const lines = area.current.value.split('\n');
    const start = lines.slice(0, target.line - 1).reduce((sum, line) => sum + line.length + 1, 0);
    area.current.focus();
    area.current.setSelectionRange(start, start + (lines[target.line - 1]?.length ?? 0));
    area.current.scrollTop = Math.max(0, (target.line - 1) * HEIGHT - area.current.clientHeight / 3);
    area.current.scrollLeft = 0;
    follow(area.current);
  }, [target]);
  return html`<div class=${classes('editor', readonly && 'editor-readonly')}>
    <div class="editor-numbers" aria-hidden="true">${numbers}</div>
    <textarea ref=${area} class="editor-text" wrap="off" spellcheck=${false} autocomplete="off" autocapitalize="off"
      aria-label=${label ?? t('Text')} aria-invalid=${marks.size ? 'true' : undefined} readOnly=${readonly} value=${value}
      onScroll=${(event) => follow(event.currentTarget)} onInput=${(event) => onChange(event.currentTarget.value)}></textarea>
  </div>`;
}
