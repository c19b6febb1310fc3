// Who is registered where, a page of them at a time: there may be ten thousands.
import {
  Button, Card, Form, Table, call, confirm, fmt, hooks, html, t, toast, useCall, useTopic,
} from 'sipx';
import {needs, useAction} from './acting.js';

const AT_ONCE = 100;

export function Registrations() {
  const [wanted, setWanted] = hooks.useState({user: '', owner: ''});
  const [asked, setAsked] = hooks.useState(wanted);
  const [offset, setOffset] = hooks.useState(0);
  const servers = useTopic('servers', {}).state?.servers ?? [];
  const [run, busy] = useAction();
  const params = {...asked, user: (asked.user ?? '').trim(), limit: AT_ONCE, offset};
  const {data, error, reload} = useCall('registrar.registrations', params, {
    every: 5, deps: [asked.user, asked.owner, offset],
  });
  hooks.useEffect(() => {
    const timer = setTimeout(() => {
      setAsked(wanted);
      setOffset(0);
    }, 250);
    return () => clearTimeout(timer);
  }, [wanted.user, wanted.owner]);

  const remove = async (one) => {
    const sure = await confirm({
      title: t('End the registration of {user}?', {user: one.user}),
      text: t('{contact} gets no requests any more. The client is not told, and may register again.', {contact: one.contact}),
      action: t('End it'),
      danger: true,
    });
    if (!sure) return;
    await run(one.contact, async () => {
      await call('registrar.remove', {user: one.user, contact: one.contact});
      toast(t('The registration has ended.'), {kind: 'ok'});
      await reload();
    });
  };
  const rows = data?.registrations ?? [];
  const total = data?.total ?? 0;
  return html`<${Card} flush>
    <div class="toolbar">
      <${Form}
        fields=${[
          {
            name: 'user', label: t('User'), placeholder: 'alice, *@home.example',
            help: t('A name, an address, or a pattern with stars.'),
          },
          {
            name: 'owner', label: t('Server'),
            options: [
              ['', t('all')],
              ...servers.map((one) => [one.name, one.name]),
            ],
          },
        ]}
        value=${wanted}
        onChange=${setWanted}
        problems=${{user: error ? [error.message] : []}}
      />
      <span class="muted" role="status">
        ${t('{total} registrations', {total: fmt.number(total)})}
      </span>
    </div>
    <${Table}
      label=${t('Registered users')}
      columns=${[
        {id: 'user', title: t('User'), mono: true, render: (one) => one.user || html`<em>${t('the server itself')}</em>`},
        {id: 'owner', hide: 'narrow', title: t('Server'), render: (one) => one.owner},
        {id: 'contact', title: t('Place'), mono: true, render: (one) => html`<span class="domain" title=${one.contact}>${one.contact}</span>`},
        {id: 'source', hide: 'narrow', title: t('From'), mono: true, render: (one) => one.source},
        {id: 'agent', hide: 'narrow', title: t('Client'), render: (one) => one.user_agent || '–'},
        {id: 'since', hide: 'narrow', title: t('Since'), align: 'right', render: (one) => fmt.ago(one.since)},
        {id: 'expires', title: t('Ends in'), align: 'right', render: (one) => fmt.duration(one.expires)},
        {
          id: 'actions', title: t('Actions'), hideTitle: true, align: 'right',
          render: (one) =>
            one.user &&
            html`<${Button}
              kind="ghost"
              small
              icon="trash"
              busy=${busy === one.contact}
              onClick=${() => remove(one)}
              ...${{title: t('End the registration of {user}', {user: one.user}), ...needs('operator')}}
            />`,
        },
      ]}
      rows=${rows}
      keyOf=${(one) => `${one.user} ${one.contact} ${one.reg_id} ${one.owner}`}
      empty=${
        asked.user || asked.owner
          ? {level: 2, title: t('Nobody of that name'), text: t('Try a pattern, such as "*berlin*".')}
          : {level: 2, title: t('Nobody is registered'), text: t('UC servers and their users stand here once they have registered.')}
      }
    />
    ${total > AT_ONCE &&
    html`<div class="pager">
      <${Button} disabled=${offset === 0} onClick=${() => setOffset(Math.max(0, offset - AT_ONCE))}>
        ${t('Previous')}
      <//>
      <span>
        ${t('{first} to {last} of {total}', {
          first: fmt.number(offset + 1),
          last: fmt.number(Math.min(offset + AT_ONCE, total)),
          total: fmt.number(total),
        })}
      </span>
      <${Button} disabled=${offset + AT_ONCE >= total} onClick=${() => setOffset(offset + AT_ONCE)}>
        ${t('Next')}
      <//>
    </div>`}
  <//>`;
}
