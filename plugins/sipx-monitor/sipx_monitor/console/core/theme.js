/** Light or dark: what the reader chose, else the configuration, else the machine. */
import {computed, effect, preferences, signal} from './base.js';

/** What the server's configuration says. */
export const wantedTheme = signal('auto');

const machine = matchMedia('(prefers-color-scheme: dark)');
const machineDark = signal(machine.matches);
machine.addEventListener('change', () => { machineDark.value = machine.matches; });

/** "light" or "dark", as it is shown. */
export const theme = computed(() => {
  const chosen = preferences.value.theme || wantedTheme.value;
  if (chosen === 'light' || chosen === 'dark') return chosen;
  return machineDark.value ? 'dark' : 'light';
});

effect(() => { document.documentElement.dataset.theme = theme.value; });

/** The colour that a custom property stands for in this theme, as `rgb(...)`. */
export function colour(name) {
  const probe = document.createElement('span');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
