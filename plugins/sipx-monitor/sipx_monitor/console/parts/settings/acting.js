// What a page may do: by role, with a mark while it lasts, and with its error in words.
import {can, draft, hooks, t, toast} from 'sipx';

/** The properties of a control that only some may use: `<${Button} ...${needs('operator')} />`.
 *  What an administrator changes is the file, which nobody does while its text is being edited. */
export function needs(role) {
  if (can(role)) {
    return role === 'admin' && draft.locked.value
      ? {disabled: true, title: t('The text of the file is being edited on the page Config.')} : {};
  }
  const title =
    role === 'admin'
      ? t('Only an administrator may change this.')
      : t('Only an operator or an administrator may do this.');
  return {disabled: true, title};
}

/** `[run, busy]`: `run(name, fn)` awaits `fn()`; an error becomes a message. `busy` is the name. */
export function useAction() {
  const [busy, setBusy] = hooks.useState('');
  const run = async (name, fn) => {
    setBusy(name);
    try {
      return await fn();
    } catch (error) {
      toast(error.message, {kind: 'bad'});
      return undefined;
    } finally {
      setBusy('');
    }
  };
  return [run, busy];
}

/** Seconds since something has begun, None while nothing runs. */
export function useElapsed(running) {
  const [elapsed, setElapsed] = hooks.useState(0);
  hooks.useEffect(() => {
    setElapsed(0);
    if (!running) return undefined;
    const began = performance.now();
    const timer = setInterval(() => setElapsed((performance.now() - began) / 1000), 250);
    return () => clearInterval(timer);
  }, [running]);
  return elapsed;
}

/** Let the browser save bytes that came in base64, in one or several parts. */
export function save(name, parts, type = 'application/octet-stream') {
  const bytes = parts.map((part) => Uint8Array.from(atob(part), (c) => c.charCodeAt(0)));
  saveText(name, bytes, type);
}

/** Let the browser save a file. `content` is a list of texts or arrays of bytes. */
export function saveText(name, content, type = 'text/plain') {
  const url = URL.createObjectURL(new Blob(content, {type}));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A file that somebody chose, as base64. */
export async function base64Of(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}
