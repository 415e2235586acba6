/**
 * The key to the agent. It comes in the fragment of the printed address, which no server and no Referer ever sees, and is kept for this tab
 * and this origin. Not in a cookie: those are sent to every port of a host (RFC 6265 section 8.5), other users' servers among them.
 */
import { signal } from '@preact/signals';

const KEY = 'whodns-token';

/** Whether the agent takes the token; `unknown` before it was asked. */
export const access = signal<'unknown' | 'granted' | 'refused'>('unknown');

let current = sessionStorage.getItem(KEY) ?? '';

/** Takes the token out of the address before anything else can look at it. */
export function takeToken(): void {
  const found = tokenOf(location.hash);
  if (found === undefined) return;
  setToken(found);
  history.replaceState(null, '', `${location.pathname}#/lookups`);
}

/** Of a fragment, of a whole address, or the bare token. */
export function tokenOf(text: string): string | undefined {
  return /(?:^|[#&?])token=([\w-]{16,})/.exec(text)?.[1] ?? /^[\w-]{32,}$/.exec(text.trim())?.[0];
}

export function setToken(token: string): void {
  current = token;
  sessionStorage.setItem(KEY, token);
  access.value = 'unknown';
}

export function hasToken(): boolean {
  return current !== '';
}

export function authorization(): Record<string, string> {
  return { authorization: `Bearer ${current}` };
}
