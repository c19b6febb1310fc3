/** The mark of sipx: two ways past each other. */
import {html} from './base.js';

export function Logo() {
  return html`<svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="7" />
    <path d="M7 11h14l-4-4M25 21H11l4 4" />
  </svg>`;
}
