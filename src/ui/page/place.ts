/** Where the reader is, all of it in the address: view, filter, span of time, what the panel shows. So back, reload and copies work. */
import { computed, signal } from '@preact/signals';

export const VIEWS = ['lookups', 'top', 'flow', 'findings', 'agent'] as const;
export type View = (typeof VIEWS)[number];

/** Times are Unix milliseconds. */
export type Span =
  | { readonly kind: 'live' }
  | { readonly kind: 'last'; readonly minutes: number }
  | { readonly kind: 'fixed'; readonly since: number; readonly until: number };

/** What is looked at closely. */
export type Subject =
  | { readonly kind: 'process'; readonly key: string }
  | { readonly kind: 'name'; readonly name: string };

export interface Place {
  readonly view: View;
  readonly filter: string;
  readonly span: Span;
  readonly subject: Subject | undefined;
}

/** What `live` shows of the past. */
export const LIVE_MINUTES = 5;

export function parsePlace(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const params = new URLSearchParams(query);
  const view = VIEWS.find((each) => each === path) ?? 'lookups';
  return { view, filter: params.get('filter') ?? '', span: spanOf(params), subject: subjectOf(params) };
}

function spanOf(params: URLSearchParams): Span {
  const since = Number(params.get('since') ?? Number.NaN);
  const until = Number(params.get('until') ?? Number.NaN);
  if (Number.isFinite(since) && Number.isFinite(until) && since < until)
    return { kind: 'fixed', since, until };
  const minutes = Number(params.get('last') ?? Number.NaN);
  return Number.isFinite(minutes) && minutes > 0 ? { kind: 'last', minutes } : { kind: 'live' };
}

function subjectOf(params: URLSearchParams): Subject | undefined {
  const key = params.get('process');
  if (key !== null) return { kind: 'process', key };
  const name = params.get('name');
  return name === null ? undefined : { kind: 'name', name };
}

export function hashOf({ view, filter, span, subject }: Place): string {
  const params = new URLSearchParams();
  if (filter !== '') params.set('filter', filter);
  if (span.kind === 'last') params.set('last', String(span.minutes));
  if (span.kind === 'fixed') {
    params.set('since', String(Math.floor(span.since)));
    params.set('until', String(Math.ceil(span.until)));
  }
  if (subject?.kind === 'process') params.set('process', subject.key);
  if (subject?.kind === 'name') params.set('name', subject.name);
  const query = params.toString();
  return `#/${view}${query === '' ? '' : `?${query}`}`;
}

export const place = signal<Place>(parsePlace(location.hash));
export const view = computed(() => place.value.view);
export const filter = computed(() => place.value.filter);
export const span = computed(() => place.value.span);
export const subject = computed(() => place.value.subject);
export const isLive = computed(() => span.value.kind === 'live');

window.addEventListener('hashchange', () => {
  place.value = parsePlace(location.hash);
});

/** The address of another place: what is not named stays, but for the panel, which closes. */
export function href(change: Partial<Place>): string {
  return hashOf({ ...place.value, subject: undefined, ...change });
}

export function go(change: Partial<Place>): void {
  location.hash = href(change);
}

/** The span as the agent is asked about it: Unix microseconds. Without an end: until now. */
export function asked(now = Date.now()): { readonly since: number; readonly until?: number } {
  const chosen = span.value;
  if (chosen.kind === 'fixed') return { since: chosen.since * 1000, until: chosen.until * 1000 };
  const minutes = chosen.kind === 'live' ? LIVE_MINUTES : chosen.minutes;
  return { since: (now - minutes * 60_000) * 1000 };
}
