/** The pages that come with sipx, as they stand in the menu while (or where) they are not loaded. */
export const PAGES = [
  {id: 'overview', title: 'Overview', group: 'watch', order: 10, icon: 'gauge'},
  {id: 'live', title: 'Live', group: 'watch', order: 20, icon: 'pulse'},
  {id: 'dialogs', title: 'Dialogs', group: 'watch', order: 30, icon: 'chat'},
  {id: 'transactions', title: 'Transactions', group: 'watch', order: 40, icon: 'swap'},
  {id: 'partners', title: 'Partners', group: 'watch', order: 50, icon: 'people'},
  {id: 'logs', title: 'Logs', group: 'watch', order: 60, icon: 'log'},
  {id: 'wan', title: 'WAN', group: 'setup', order: 10, icon: 'globe'},
  {id: 'interfaces', title: 'Interfaces', group: 'setup', order: 20, icon: 'plug'},
  {id: 'certificates', title: 'Certificates', group: 'setup', order: 30, icon: 'certificate'},
  {id: 'lan', title: 'LAN', group: 'setup', order: 40, icon: 'lan'},
  {id: 'servers', title: 'UC servers', group: 'setup', order: 50, icon: 'server'},
  {id: 'federation', title: 'Federation', group: 'setup', order: 60, icon: 'federation'},
  {id: 'nat', title: 'NAT and STUN', group: 'setup', order: 70, icon: 'nat'},
  {id: 'routes', title: 'Routes', group: 'setup', order: 80, icon: 'route'},
  {id: 'checks', title: 'Checks', group: 'run', order: 10, icon: 'check'},
  {id: 'service', title: 'Service', group: 'run', order: 20, icon: 'power'},
  {id: 'plugins', title: 'Plugins', group: 'run', order: 30, icon: 'puzzle'},
  {id: 'config', title: 'Config', group: 'run', order: 40, icon: 'file'},
  {id: 'help', title: 'Help', group: 'help', order: 10, icon: 'help'},
];

export const GROUPS = [
  ['watch', 'Watch'], ['setup', 'Set up'], ['run', 'Run'], ['help', 'Help'],
];
