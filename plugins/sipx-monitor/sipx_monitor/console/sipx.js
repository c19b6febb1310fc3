/**
 * The API of the console: `import {html, registerPage, useTopic} from 'sipx'`.
 *
 * It is the only thing that pages and panels need. docs/panels.md describes it; what is not
 * exported here may change at any time.
 */
export {Fragment, batch, classes, computed, effect, hooks, html, prefer, preferences, render, root, signal, SipxError, useId}
  from './core/base.js';
export {draft, HIDDEN} from './core/draft.js';
export {readFile} from './core/draftcheck.js';
export {useCall, useNow, useTopic} from './core/hooks.js';
export {fmt, language, registerMessages, t} from './core/i18n.js';
export {keys} from './core/keys.js';
export {call, link, subscribe} from './core/link.js';
export {keyOf, keyPart, parseKey} from './core/notation.js';
export {api, columns, filterHelp, registerColumn, registerFilterHelp, registerPage, registerPanel} from './core/registry.js';
export {href, navigate, route} from './core/router.js';
export {can, session} from './core/session.js';
export {colour, theme} from './core/theme.js';
export {Badge} from './parts/badge.js';
export {Button} from './parts/button.js';
export {Card, Page} from './parts/card.js';
export {Chart} from './parts/chart.js';
export {Command, Copy, copy} from './parts/copy.js';
export {confirm, Dialog} from './parts/dialog.js';
export {Diff} from './parts/diff.js';
export {Busy, Empty, Trouble} from './parts/empty.js';
export {Field, Form} from './parts/field.js';
export {Icon, ICONS} from './parts/icon.js';
export {KeyValue} from './parts/keyvalue.js';
export {labelOf, Setting} from './parts/setting.js';
export {Select, Switch} from './parts/switch.js';
export {Table} from './parts/table.js';
export {Tabs} from './parts/tabs.js';
export {failed, toast} from './parts/toast.js';
export {Input} from './parts/widgets.js';
export {Ladder} from './parts/live/ladder.js';
