/** Who is logged on, and what that allows. */
import {at, signal, SipxError} from './base.js';
import {wanted} from './i18n.js';
import {navigate} from './router.js';
import {wantedTheme} from './theme.js';

/** undefined: not asked yet; null: nobody is logged on. */
export const session = signal(undefined);

/** Whether somebody was logged on, and is not any more without having said so. */
export const over = signal(false);

/** What may be known before: {auth: "token"|"password"|"proxy-header"|"none", language, theme}. */
export const outside = signal({});

const ROLES = ['viewer', 'operator', 'admin'];

/** Whether who is logged on may do what needs this role. */
export function can(role) {
  return ROLES.indexOf(session.value?.role) >= ROLES.indexOf(role);
}

async function answered(answer) {
  const content = answer.headers.get('content-type')?.includes('json') ? await answer.json() : {};
  if (answer.ok) return content;
  const error = content.error ?? {};
  throw Object.assign(
    new SipxError(error.code ?? answer.status, error.text ?? `HTTP ${answer.status}`, error.problems ?? []),
    {wait: Number(answer.headers.get('retry-after'))},
  );
}

async function asked(method, body) {
  const headers = {Accept: 'application/json', ...(body ? {'Content-Type': 'application/json'} : {})};
  const answer = await fetch(at('session'), {
    method, headers, credentials: 'same-origin', body: body && JSON.stringify(body),
  });
  if (method === 'GET' && answer.status === 401) {
    outside.value = await answer.json();
    return null;
  }
  return answered(answer);
}

/** Ask who is logged on. Rejects where the server is not there. */
export async function loadSession() {
  const found = await asked('GET');
  const known = found ?? outside.value;
  wanted.value = known.language ?? 'auto';
  wantedTheme.value = known.theme ?? 'auto';
  if (session.value && !found) over.value = true;
  else if (found) over.value = false;
  session.value = found;
  return found;
}

/** The session has ended elsewhere. */
export function ended() {
  over.value = true;
  session.value = null;
}

/** Log on with `{token}` or `{user, password}`. */
export async function login(proof) {
  await asked('POST', proof);
  return loadSession();
}

export async function logout() {
  await asked('DELETE');
  session.value = null;
}

/** A method over HTTP: for what is too large for the link. */
export async function post(method, params) {
  const answer = await fetch(at(`api/${method}`), {
    method: 'POST', credentials: 'same-origin',
    headers: {'Content-Type': 'application/json', Accept: 'application/json'},
    body: JSON.stringify(params),
  });
  if (answer.status === 401) ended();
  return answered(answer);
}

/** The token of the link that brought us here, taken out of the address; "" for none. */
export function tokenOfAddress() {
  const found = /(?:^#|[&?])token=([^&]+)/.exec(location.hash);
  if (!found) return '';
  navigate('overview', {}, {replace: true});
  return decodeURIComponent(found[1]);
}
