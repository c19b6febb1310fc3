// Taking a table out of the draft: it is asked for by name, and can be undone.
import {confirm, draft, t, toast} from 'sipx';

/** Ask, and take it out; whether it was. `what` names the thing, as in "interface lan". */
export async function removeTable(key, what, text) {
  const sure = await confirm({
    title: t('Remove {what}?', {what}),
    text: text ?? t('It is taken out of the draft. The file changes when you save and apply.'),
    action: t('Remove'),
    danger: true,
  });
  if (!sure) return false;
  draft.removeTable(key);
  toast(t('{what} is removed in the draft.', {what}), {undo: () => draft.revert(key)});
  return true;
}
