/** The documentation, offline; what this is, and the licences of what it is made of. */
import {
  Busy, Card, Empty, KeyValue, Page, Trouble, hooks, href, html, navigate, registerPage, session, t, useCall,
} from 'sipx';
import {at} from '../core/base.js';

const {useEffect, useMemo, useRef, useState} = hooks;

function HelpPage({params}) {
  const {topic = '', find = '', about} = params;
  return html`<${Page} title=${t('Help')} wide>
    <div class="help">
      <${Contents} topic=${about === undefined && !find ? topic || 'index' : ''} find=${find} about=${about !== undefined} />
      <div class="help-text">
        ${about !== undefined ? html`<${About} />` : find ? html`<${Found} text=${find} />` : html`<${Topic} topic=${topic || 'index'} at=${params.at} />`}
      </div>
    </div>
  <//>`;
}

function Contents({topic, find, about}) {
  const {data, error, reload} = useCall('help.topics');
  const [text, setText] = useState(find);
  useEffect(() => { setText(find); }, [find]);
  return html`<nav class="help-contents" aria-label=${t('Topics')}>
    <form role="search" onSubmit=${(event) => { event.preventDefault(); navigate('help', {find: text.trim()}); }}>
      <input class="input" type="search" value=${text} placeholder=${t('Search')} aria-label=${t('Search the documentation')}
        onInput=${(event) => setText(event.currentTarget.value)} /></form>
    ${error && html`<${Trouble} error=${error} retry=${reload} />`}
    ${!data && !error && html`<${Busy} />`}
    <ul>${(data?.topics ?? []).map((one) => html`<li key=${one.topic}><a href=${href('help', {topic: one.topic})}
      aria-current=${one.topic === topic ? 'page' : undefined}>${one.title}</a></li>`)}
      <li><a href=${href('help', {about: '1'})} aria-current=${about ? 'page' : undefined}>${t('About sipx')}</a></li></ul>
  </nav>`;
}

/** The headings of the page are one below that of the console. */
function deeper(text) {
  return text.replace(/<(\/?)h([1-5])\b/g, (_, end, level) => `<${end}h${Number(level) + 1}`);
}

/** Where a link, or a place that was found, leads to: an anchor, or the words of a heading. */
function anchorOf(place, toc) {
  return toc.find(({anchor, text}) => anchor === place || anchor === `help-${place}` || text === place)?.anchor;
}

/** What is wider than the page scrolls by itself, by keyboard too. */
function scrolling(article) {
  for (const table of article.querySelectorAll('table')) {
    const frame = document.createElement('div');
    frame.className = 'help-table';
    frame.tabIndex = 0;
    frame.setAttribute('role', 'group');
    frame.setAttribute('aria-label', [...table.querySelectorAll('th')].map((one) => one.textContent).join(', ') || t('Table'));
    for (const head of table.querySelectorAll('th')) {
      if (!head.textContent.trim()) head.replaceWith(document.createElement('td'));
    }
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const code of article.querySelectorAll('pre')) {
    code.tabIndex = 0;
    code.className = 'code';
  }
}

function Topic({topic, at: place}) {
  const {data, error} = useCall('monitor.help', {topic}, {deps: [topic]});
  const article = useRef(null);
  const shown = data?.topic === topic ? data : null;
  const toc = shown?.toc ?? [];
  const text = useMemo(() => ({__html: deeper(shown?.html ?? '')}), [shown]);
  useEffect(() => { if (shown) scrolling(article.current); }, [shown]);
  useEffect(() => {
    if (!shown) return;
    const anchor = place && anchorOf(place, toc);
    if (anchor) document.getElementById(anchor)?.scrollIntoView();
    else document.querySelector('.main').scrollTo(0, 0);
  }, [shown, place]);
  if (error && !shown) {
    return html`<${Empty} icon="help" title=${t('There is no topic {topic}', {topic})} text=${error.message}
      action=${html`<a href=${href('help')}>${t('All topics')}</a>`} />`;
  }
  if (!shown) return html`<${Busy} />`;
  const parts = toc.filter(({level}) => level === 2);
  return html`<div class="help-page">
    <article class="markdown" ref=${article} key=${topic} dangerouslySetInnerHTML=${text}></article>
    ${parts.length > 2 && html`<nav class="help-toc" aria-label=${t('On this page')}><h2>${t('On this page')}</h2>
      <ul>${parts.map(({anchor, text: words}) => html`<li key=${anchor}><a href=${href('help', {topic, at: anchor})}
        onClick=${() => document.getElementById(anchor)?.scrollIntoView()}>${words}</a></li>`)}</ul></nav>`}
  </div>`;
}

/** A line of Markdown without its marks. */
function plain(line) {
  return line.replace(/^[#>\s*|-]+/, '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*|]+/g, ' ').replace(/\s+/g, ' ');
}

function Found({text}) {
  const {data, error} = useCall('help.search', {text}, {deps: [text]});
  if (error) return html`<${Trouble} error=${error} />`;
  if (!data) return html`<${Busy} />`;
  if (!data.hits.length) {
    return html`<${Empty} icon="search" title=${t('Nothing about {text}', {text})} text=${t('Try a single word, or the key of a setting.')} />`;
  }
  return html`<h2>${t('{n} places about {text}', {n: data.hits.length, text})}</h2>
    <ul class="help-hits">${data.hits.map(({topic, title, heading, text: words}, index) => html`<li key=${index}>
      <a href=${href('help', {topic, at: heading})}>${title}${heading && heading !== title && ` › ${heading}`}</a>
      <p>${plain(words)}</p></li>`)}</ul>`;
}

/** What VENDOR.toml says of the packages: name, version, licence. */
function vendored(text) {
  return text.split(/^\[package\./m).slice(1).filter((part) => /^version/m.test(part)).map((part) => {
    const value = (key) => new RegExp(`^${key} = "(.*)"`, 'm').exec(part)?.[1] ?? '';
    const file = /"LICENSE" = \{ as = "([^"]+)"/.exec(text.slice(text.indexOf(part)))?.[1];
    return {name: part.slice(0, part.indexOf(']')).replaceAll('"', ''), version: value('version'), licence: value('licence'), file};
  });
}

function About() {
  const [parts, setParts] = useState(null);
  const [chosen, setChosen] = useState('');
  const [licence, setLicence] = useState('');
  const {data: version} = useCall('control.version');
  useEffect(() => {
    fetch(at('console/vendor/VENDOR.toml')).then((answer) => answer.text()).then((text) => setParts(vendored(text)), () => setParts([]));
  }, []);
  async function show(file) {
    setChosen(file);
    const answer = await fetch(at(`console/vendor/${file}`));
    setLicence(await answer.text());
  }
  return html`<${Card} title=${t('About sipx')} icon="info">
    <p>${t('sipx joins several UC servers into one presence domain and federates it with others. It carries presence, messages and calls, and never media.')}</p>
    <${KeyValue} rows=${[[t('Version'), session.value?.version], [t('Control protocol'), version?.protocol], [t('Licence'), 'Apache-2.0']]} />
  <//>
  <${Card} title=${t('What the console is made of')}>
    <ul class="licences">${(parts ?? []).map(({name, version: number, licence: kind, file}) => html`<li key=${name}>
      <strong>${name}</strong> <span class="mono">${number}</span> <button type="button" class="link-button" aria-expanded=${chosen === file}
        onClick=${() => show(file)}>${kind}</button></li>`)}</ul>
    ${chosen && html`<pre class="code" tabindex="0">${licence}</pre>`}
  <//>`;
}

registerPage({id: 'help', title: 'Help', group: 'help', order: 10, icon: 'help', Page: HelpPage, command: 'sipx help'});
