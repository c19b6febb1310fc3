import {
  Page, Table, fmt, html, registerColumn, registerFilterHelp, registerMessages, registerPage,
  registerPanel, t, useCall,
} from 'sipx';

registerMessages('de', {
  'Busiest addresses': 'Gefragteste Adressen',
  Address: 'Adresse',
  Requests: 'Anfragen',
  'Nobody was asked for yet': 'Noch wurde nach niemandem gefragt',
  'Asked for': 'Gefragt nach',
  'who is asked for, as the page Busiest counts them': 'nach wem gefragt wird, wie die Seite Gefragteste Adressen zählt',
});

function Busiest() {
  const {data} = useCall('busiest.list', {}, {every: 2});
  const columns = [
    {id: 'address', title: t('Address'), mono: true, render: (row) => row.address},
    {id: 'requests', title: t('Requests'), align: 'right', render: (row) => fmt.number(row.requests)},
  ];
  return html`<${Table} columns=${columns} rows=${data?.addresses ?? []} keyOf=${(row) => row.address}
    empty=${{title: t('Nobody was asked for yet')}} />`;
}

function BusiestPage() {
  return html`<${Page} title=${t('Busiest addresses')}><${Busiest} /><//>`;
}

registerPanel({id: 'busiest', title: 'Busiest addresses', icon: 'chart', page: 'overview', order: 50, Panel: Busiest});
registerPage({id: 'busiest', title: 'Busiest addresses', group: 'watch', order: 90, icon: 'chart', Page: BusiestPage});
registerColumn({id: 'asked', title: 'Asked for', width: 150, render: (message) => message.uri});
registerFilterHelp({
  id: 'busiest', title: 'uri', text: 'who is asked for, as the page Busiest counts them', example: 'method:MESSAGE uri:bob@example.com',
});
