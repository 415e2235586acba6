/** Questions to the agent. */
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { access, authorization } from './token.ts';

/** Of the stream. `first`: none came yet. While it is lost no other question is asked. */
export const connection = signal<'first' | 'open' | 'lost'>('first');

export type Params = Readonly<Record<string, string | number | boolean | undefined>>;

/** The agent's answer was an error: its words. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  /** Characters of the filter that are wrong. */
  readonly at: { readonly at: number; readonly end: number } | undefined;

  constructor(status: number, body: unknown) {
    const { error } = (body ?? {}) as {
      error?: { code?: string; message?: string; at?: number; end?: number };
    };
    super(error?.message ?? `the agent answered with status ${status}`);
    this.status = status;
    this.code = error?.code ?? '';
    this.at = error?.at === undefined ? undefined : { at: error.at, end: error.end ?? error.at + 1 };
  }
}

export function pathOf(route: string, params: Params): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    if (value !== undefined && value !== '' && value !== false) query.set(name, String(value));
  const text = query.toString();
  return text === '' ? route : `${route}?${text}`;
}

/** @throws Refused; a TypeError where there is no agent */
export async function open(path: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(path, { headers: authorization(), signal, cache: 'no-store' });
  if (response.status === 401) access.value = 'refused';
  if (response.ok) {
    access.value = 'granted';
    return response;
  }
  throw new Refused(response.status, await response.json().catch(() => undefined));
}

export async function ask<T>(route: string, params: Params, signal: AbortSignal): Promise<T> {
  const response = await open(pathOf(route, params), signal);
  return (await response.json()) as T;
}

export interface Asked<T> {
  readonly data: T | undefined;
  readonly error: Error | undefined;
  /** The data is of the question before, or there is none yet. */
  readonly isStale: boolean;
}

/** No more than a tenth of the time is spent on questions that repeat. */
const REST_FACTOR = 9;

/**
 * Asks, and again after `everyMs` while the page is looked at. `params` may hold times that move: a question is a new one when `key` is.
 * @param key undefined: nothing is asked
 */
export function useAsk<T>(
  key: string | undefined,
  question: () => { readonly route: string; readonly params: Params },
  everyMs?: number,
): Asked<T> {
  const [state, setState] = useState<Asked<T> & { readonly key: string | undefined }>({
    key: undefined,
    data: undefined,
    error: undefined,
    isStale: true,
  });
  const latest = useRef(question);
  latest.current = question;
  const allowed = access.value;
  useEffect(() => {
    if (key === undefined || allowed === 'refused') return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const round = async (): Promise<void> => {
      const started = performance.now();
      if (document.visibilityState === 'visible' && connection.peek() !== 'lost') {
        const { route, params } = latest.current();
        try {
          const data = await ask<T>(route, params, abort.signal);
          setState({ key, data, error: undefined, isStale: false });
        } catch (error) {
          if (abort.signal.aborted) return;
          setState((before) => ({ ...before, key, error: error as Error, isStale: before.key !== key }));
        }
      }
      if (everyMs === undefined || abort.signal.aborted) return;
      timer = setTimeout(round, Math.max(everyMs, (performance.now() - started) * REST_FACTOR));
    };
    void round();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, everyMs, allowed]);
  return {
    data: state.data,
    error: state.key === key ? state.error : undefined,
    isStale: state.key !== key || state.isStale,
  };
}
