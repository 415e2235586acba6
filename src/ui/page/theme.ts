/** Dark or light: as the system has it, until the reader chooses. */
import { signal } from '@preact/signals';

const KEY = 'whodns-theme';
const system = window.matchMedia('(prefers-color-scheme: light)');

export const theme = signal<'dark' | 'light'>(initial());
apply();
system.addEventListener('change', () => {
  if (localStorage.getItem(KEY) === null) set(system.matches ? 'light' : 'dark');
});

export function toggleTheme(): void {
  const next = theme.peek() === 'dark' ? 'light' : 'dark';
  localStorage.setItem(KEY, next);
  set(next);
}

export function colorOf(variable: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}

function initial(): 'dark' | 'light' {
  const kept = localStorage.getItem(KEY);
  if (kept === 'dark' || kept === 'light') return kept;
  return system.matches ? 'light' : 'dark';
}

function set(next: 'dark' | 'light'): void {
  document.documentElement.dataset['theme'] = next;
  theme.value = next;
}

function apply(): void {
  document.documentElement.dataset['theme'] = theme.peek();
}
