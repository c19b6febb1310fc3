/** What stands between a page or panel that throws and everything else. */
import {Component, html} from './base.js';
import {t} from './i18n.js';
import {Button} from '../parts/button.js';

export class Boundary extends Component {
  constructor(props) {
    super(props);
    this.state = {error: null};
  }

  componentDidCatch(error) {
    console.error(`${this.props.name} failed:`, error);
    this.setState({error});
  }

  componentDidUpdate(before) {
    if (before.name !== this.props.name && this.state.error) this.setState({error: null});
  }

  render({name, children}, {error}) {
    return error
      ? html`<${Failed} name=${name} error=${error} retry=${() => this.setState({error: null})} />`
      : children;
  }
}

/** A page or panel that failed, in words. */
export function Failed({name, error, retry}) {
  return html`<section class="failed" role="alert">
    <h2>${t('{name} failed', {name: t(name)})}</h2>
    <p>${String(error?.message ?? error)}</p>
    ${error?.stack && html`<details><summary>${t('Details')}</summary><pre>${error.stack}</pre></details>`}
    ${retry && html`<${Button} icon="reload" onClick=${retry}>${t('Try again')}<//>`}
  </section>`;
}
