// New certificates: import, request, self-signed. The server makes or reads the files; what comes
// of it is said where it was asked for.
import {Button, Copy, Dialog, Form, call, draft, hooks, html, readFile, t, toast} from 'sipx';
import {base64Of, saveText} from './acting.js';

/** Which field a problem is about: the server calls a parameter as `fields` does, or by `names`. */
function sorted(error, fields, names) {
  const found = {};
  for (const problem of error.problems ?? []) {
    const key = names[problem.key] ?? problem.key?.split(/[.[]/)[0] ?? '';
    const name = fields.some((field) => field.name === key) ? key : '';
    (found[name] ??= []).push(problem.text);
  }
  return Object.keys(found).length ? found : {'': [error.message]};
}

/** Ask for a certificate. The file has its table then: that is no change of somebody else. */
export async function ask(method, params) {
  const done = await call(method, params);
  if (done.changed) await readFile();
  return done;
}

/** A form whose answer comes from a control method; problems of a parameter stand beside it. */
function CallDialog({title, intro, fields, initial, method, params, action, onClose, onDone, names = {}, children}) {
  const [values, setValues] = hooks.useState(initial);
  const [problems, setProblems] = hooks.useState({});
  const [busy, setBusy] = hooks.useState(false);
  const there = draft.tables('certificate').includes(values.name?.trim());
  const shown = there ? [...fields, replaceField()] : fields;
  const go = async () => {
    setBusy(true);
    setProblems({});
    try {
      const given = await params(values);
      onDone(await ask(method, {...given, ...(there && values.replace ? {replace: true} : {})}));
    } catch (error) {
      setProblems(sorted(error, shown, names));
    } finally {
      setBusy(false);
    }
  };
  const actions = html`
    <${Button} onClick=${onClose}>${t('Cancel')}<//>
    <${Button} kind="primary" type="submit" busy=${busy}>${action}<//>
  `;
  return html`<${Dialog} title=${title} onClose=${onClose} onSubmit=${go} actions=${actions}>
    ${intro && html`<p class="muted">${intro}</p>`}
    <${Form} fields=${shown} value=${values} onChange=${setValues} problems=${problems} />
    ${children}
    ${problems['']?.map((text) => html`<p class="problem" role="alert">${text}</p>`)}
  <//>`;
}

const nameField = () => ({
  name: 'name', label: t('Name'), required: true, autofocus: true,
  help: t('How the table in the configuration is called, such as "main".'),
});

const replaceField = () => ({
  name: 'replace', label: t('Replace it'), widget: 'switch',
  help: t('There is a certificate of this name: the new one takes its place.'),
});

/** What was made, and what partners could stumble over. */
function told(made, text) {
  toast([text, ...(made.notes ?? [])].join('\n'), {kind: made.notes?.length ? 'info' : 'ok'});
}

/** PEM or PKCS #12, from a file or pasted. */
export function ImportCertificate({onClose, onDone}) {
  const file = hooks.useRef(null);
  const text = hooks.useRef(null);
  const fields = [
    nameField(),
    {
      name: 'password', label: t('Password of the file'), widget: 'secret', plain: true,
      help: t('Only where the file is locked, as PKCS #12 is.'),
    },
  ];
  const params = async ({name = '', password}) => {
    const chosen = file.current.files[0];
    const data = chosen ? await base64Of(chosen) : btoa(text.current.value);
    return {name: name.trim(), data_base64: data, ...(password ? {password} : {})};
  };
  return html`<${CallDialog}
    title=${t('Import a certificate')}
    intro=${t('Its files are written beside the configuration, the key readable by nobody else.')}
    fields=${fields}
    initial=${{name: '', password: ''}}
    method="certificates.import"
    params=${params}
    action=${t('Import')}
    onClose=${onClose}
    onDone=${(made) => {
      told(made, t('The certificate is imported.'));
      onDone();
    }}
  >
    <div class="field">
      <div class="field-label"><label for="import-file">${t('File')}</label></div>
      <div class="field-input">
        <input type="file" class="input" id="import-file" ref=${file} accept=".pem,.crt,.cer,.key,.p12,.pfx,.p7b,.der" />
      </div>
      <p class="field-help">
        ${t('PEM with certificate, chain and key in one file, or PKCS #12 (.p12, .pfx) as Windows exports it.')}
        ${' '}${t('The answer of an authority needs no key: that of the request is used.')}
      </p>
    </div>
    <div class="field">
      <div class="field-label"><label for="import-text">${t('Or as text')}</label></div>
      <div class="field-input">
        <textarea
          class="input mono" rows="6" id="import-text" ref=${text} spellcheck=${false}
          placeholder="-----BEGIN CERTIFICATE-----"
        ></textarea>
      </div>
    </div>
  <//>`;
}

const namesField = () => ({
  name: 'domains', label: t('Names in the certificate'), widget: 'list', required: true,
  help: t('Your domains, and the host of your proxy: one on each line.'),
});

/** The request that an authority signs: to copy, and to save. */
export function RequestMade({made, onClose}) {
  const actions = html`
    <${Button} icon="download" onClick=${() => saveText(`${made.name}.csr`, [made.request])}>${t('Save as a file')}<//>
    <${Button} kind="primary" onClick=${onClose}>${t('Done')}<//>
  `;
  return html`<${Dialog} title=${t('The request for the authority')} onClose=${onClose} actions=${actions} wide>
    <p>${t('Give this to your authority. What it sends back is imported under the same name.')}</p>
    <textarea class="input mono pem" readonly rows="14" aria-label=${t('Certificate request')}>${made.request}</textarea>
    <p class="muted"><${Copy} text=${made.request} /> <span class="mono">${made.files.join(', ')}</span></p>
  <//>`;
}

const keyField = () => ({
  name: 'key_type', label: t('Kind of key'), options: [['ec', 'EC P-256'], ['rsa', 'RSA 3072']],
});

/** A key, and its request. */
export function RequestCertificate({domains, onClose, onDone}) {
  const [made, setMade] = hooks.useState(null);
  if (made) return html`<${RequestMade} made=${made} onClose=${onDone} />`;
  return html`<${CallDialog}
    title=${t('Request a certificate')}
    intro=${t('sipx makes a key and a request (CSR). An authority that your partners believe signs it.')}
    fields=${[nameField(), namesField(), keyField()]}
    initial=${{name: 'main', domains, key_type: 'ec'}}
    method="certificates.request"
    params=${(values) => ({name: (values.name ?? '').trim(), domains: values.domains, key_type: values.key_type})}
    action=${t('Make key and request')}
    onClose=${onClose}
    onDone=${setMade}
  />`;
}

/** For tests and for partners who pin its key. */
export function SelfSigned({domains, onClose, onDone}) {
  const days = {name: 'days', label: t('Valid for days'), widget: 'number'};
  return html`<${CallDialog}
    title=${t('Make a self-signed certificate')}
    intro=${t('For tests, and for partners who pin its key. Nobody else believes it.')}
    fields=${[nameField(), namesField(), keyField(), days]}
    initial=${{name: 'main', domains, key_type: 'ec', days: 398}}
    method="certificates.self_signed"
    params=${(values) => ({
      name: (values.name ?? '').trim(), domains: values.domains, key_type: values.key_type, days: Number(values.days),
    })}
    action=${t('Make it')}
    onClose=${onClose}
    onDone=${(made) => {
      told(made, t('The certificate is made.'));
      onDone();
    }}
  />`;
}
