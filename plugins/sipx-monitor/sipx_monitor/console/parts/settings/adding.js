// A dialog that adds a table to the draft. The server looks at it before: its sentences stand
// beside the fields that they are about.
import {Button, Dialog, Form, call, draft, hooks, html, t} from 'sipx';

/** The sentence without file, line and key: it stands beside its field. */
function shortened({text, key}) {
  const at = key ? text.indexOf(`${key}: `) : -1;
  return at < 0 ? text : text.slice(at + key.length + 2);
}

/** What the server says of a new table: `{field: [texts]}`; "" is for what is about no field. */
async function problemsOf(edit, names) {
  try {
    await call('config.change', {edits: [...draft.edits(), edit], dry_run: true});
    return {};
  } catch (error) {
    const problems = error.problems ?? [];
    const found = {};
    for (const problem of problems) {
      if (problem.key !== edit.key && !problem.key?.startsWith(`${edit.key}.`)) continue;
      const rest = problem.key.slice(edit.key.length + 1);
      const fits = (name) => rest === name || rest.startsWith(`${name}[`);
      // What is wrong with the table itself mostly is wrong with its name, which stands first.
      const field = rest === '' ? names[0] : names.find(fits) ?? '';
      (found[field] ??= []).push(shortened(problem));
    }
    // What is wrong elsewhere in the draft is said by the draft bar.
    if (!problems.length) found[''] = [error.message];
    return found;
  }
}

/**
 * `fields(values)` are those of the form; `build(values)` gives `{key, values, comment}`, or
 * `{problems}`. `onAdded(key, values)` is told when it stands in the draft.
 */
export function AddDialog({title, intro, fields, initial, build, action, onClose, onAdded, wide}) {
  const [values, setValues] = hooks.useState(initial);
  const [problems, setProblems] = hooks.useState({});
  const [busy, setBusy] = hooks.useState(false);
  const shown = fields(values);

  const add = async () => {
    const made = build(values);
    if (made.problems) {
      setProblems(made.problems);
      return;
    }
    setBusy(true);
    const comment = made.comment ? {comment: made.comment} : {};
    const edit = {op: 'add_table', key: made.key, value: made.values, ...comment};
    const found = await problemsOf(edit, shown.map((field) => field.name));
    setBusy(false);
    setProblems(found);
    if (Object.keys(found).length) return;
    draft.addTable(made.key, made.values, made.comment ?? '');
    onAdded?.(made.key, values);
    onClose();
  };

  const actions = html`
    <${Button} onClick=${onClose}>${t('Cancel')}<//>
    <${Button} kind="primary" type="submit" busy=${busy}>${action ?? t('Add')}<//>
  `;
  return html`<${Dialog} title=${title} onClose=${onClose} onSubmit=${add} actions=${actions} wide=${wide}>
    ${intro && html`<p class="muted">${intro}</p>`}
    <${Form} fields=${shown} value=${values} onChange=${setValues} problems=${problems} />
    ${problems['']?.map((text) => html`<p class="problem" role="alert">${text}</p>`)}
  <//>`;
}

/** A number where it is one; else the server says what is wrong with it. */
export function numberOf(typed) {
  const text = String(typed ?? '').trim();
  return /^\d+$/.test(text) ? Number(text) : text;
}

/** Without what is empty: a key that says nothing is left out of the file. */
export function filled(values) {
  const says = (value) =>
    value !== '' && value !== null && value !== undefined && !(Array.isArray(value) && !value.length);
  return Object.fromEntries(Object.entries(values).filter(([, value]) => says(value)));
}
