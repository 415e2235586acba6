/** The table of lookups: live, or what the history has of a span of time. */
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { SearchAnswer, StoredLookup } from '../../history/types.ts';
import { type Asked, ask, connection, useAsk } from './ask.ts';
import { count, latency, millis, moment } from './format.ts';
import * as live from './live.ts';
import { asked, filter, isLive, span } from './place.ts';
import { answersText, NameLink, ProcessLink, Result, resultOf, serverText, Text } from './text.tsx';
import { useVirtualRows } from './virtual.ts';

const ROW_HEIGHT = 26;
const HEAD_HEIGHT = 28;
/** Rows of one answer of the history. */
const PAGE = 500;
/** More are not kept: a narrower span or filter finds what is further back. */
const MAX_ROWS = 20_000;

export function Lookups() {
  return isLive.value ? <Live /> : <Past />;
}

/** While the reader is not at the top, the rows stand still. */
function Live() {
  const frozen = useSignal<readonly StoredLookup[] | undefined>(undefined);
  const scroller = useRef<HTMLDivElement>(null);
  const current = useComputed(() => {
    live.version.value;
    return frozen.value ?? live.rows;
  });
  const rows = current.value;
  live.version.value;
  const latest = live.rows.at(-1)?.id ?? 0;
  const fresh =
    frozen.value === undefined
      ? 0
      : live.rows.filter(({ id }) => id > (frozen.value?.at(-1)?.id ?? 0)).length;
  const freeze = (isFrozen: boolean) => {
    if (isFrozen === (frozen.value !== undefined)) return;
    frozen.value = isFrozen ? live.rows.slice() : undefined;
    if (!isFrozen) scroller.current?.scrollTo({ top: 0 });
  };
  // With the rows on the page, not after the next paint: who is quick presses the key before it.
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== ' ' || isTyping(event.target)) return;
      event.preventDefault();
      freeze(frozen.value === undefined);
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  return (
    <section class="lookups" aria-label="Lookups as they end">
      <Table
        rows={rows}
        scroller={scroller}
        onScroll={(top) => {
          if (top > ROW_HEIGHT) freeze(true);
        }}
        empty={connection.value === 'open' ? 'No lookup that matches yet.' : 'Waiting for the agent.'}
      />
      <div class="table-foot">
        <button
          type="button"
          class="quiet"
          aria-pressed={frozen.value !== undefined}
          onClick={() => freeze(frozen.value === undefined)}
        >
          {frozen.value === undefined ? 'Pause' : 'Resume'} <kbd>space</kbd>
        </button>
        {frozen.value !== undefined && fresh > 0 && (
          <button type="button" class="fresh" onClick={() => freeze(false)}>
            {count(fresh)} new
          </button>
        )}
        <span class="muted" data-latest={latest}>
          {count(rows.length)} rows
        </span>
        {live.skipped.value > 0 && (
          <span class="warn" role="status">
            {count(live.skipped.value)} left out: more than can be shown
          </span>
        )}
      </div>
    </section>
  );
}

function Past() {
  const key = JSON.stringify([filter.value, span.value]);
  const first: Asked<SearchAnswer> = useAsk<SearchAnswer>(key, () => ({
    route: 'api/search',
    params: { filter: filter.value, limit: PAGE, ...asked() },
  }));
  const more = useSignal<{
    readonly key: string;
    readonly rows: readonly StoredLookup[];
    readonly isEnd: boolean;
  }>({
    key: '',
    rows: [],
    isEnd: false,
  });
  const loading = useRef(false);
  const scroller = useRef<HTMLDivElement>(null);
  const known = more.value.key === key ? more.value.rows : [];
  const found = (first.data?.rows ?? []) as readonly StoredLookup[];
  const newestFirst = known.length === 0 ? found : [...found, ...known];
  const isEnd = first.data?.more !== true || (more.value.key === key && more.value.isEnd);
  const next = async () => {
    const before = newestFirst.at(-1)?.id;
    if (loading.current || isEnd || first.isStale || before === undefined || newestFirst.length >= MAX_ROWS)
      return;
    loading.current = true;
    try {
      const params = { filter: filter.value, limit: PAGE, before, ...asked() };
      const answer = await ask<SearchAnswer>('api/search', params, AbortSignal.timeout(20_000));
      const rows = [...known, ...(answer.rows as readonly StoredLookup[])];
      more.value = { key, rows, isEnd: !answer.more };
    } catch {
      // The next scroll asks again.
    } finally {
      loading.current = false;
    }
  };
  return (
    <section class="lookups" aria-label="Lookups of the past" aria-busy={first.isStale}>
      <Table
        rows={newestFirst}
        isNewestFirst
        scroller={scroller}
        onEnd={() => void next()}
        empty={
          first.error === undefined
            ? first.isStale
              ? 'Searching…'
              : 'No lookup matches.'
            : first.error.message
        }
      />
      <div class="table-foot">
        <span class="muted" role="status">
          {count(newestFirst.length)}
          {isEnd ? '' : '+'} rows
          {newestFirst.length >= MAX_ROWS && ', the newest; narrow the filter or the time for others'}
        </span>
        {first.data?.searchedTo !== undefined && (
          <span class="warn">searched back to {moment(first.data.searchedTo)} only: it took too long</span>
        )}
      </div>
    </section>
  );
}

interface TableProps {
  readonly rows: readonly StoredLookup[];
  readonly isNewestFirst?: boolean;
  readonly scroller: { current: HTMLDivElement | null };
  readonly onScroll?: (top: number) => void;
  readonly onEnd?: () => void;
  readonly empty: string;
}

const COLUMNS = ['Time', 'Process', 'Type', 'Name', 'Result', 'Latency', 'Answers', 'Server'] as const;

function Table({ rows, isNewestFirst = false, scroller, onScroll, onEnd, empty }: TableProps) {
  const virtual = useVirtualRows(scroller, rows.length, ROW_HEIGHT, HEAD_HEIGHT);
  const last = virtual.items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (onEnd !== undefined && rows.length > 0 && last >= rows.length - PAGE / 4) onEnd();
  }, [last, rows.length]);
  return (
    <div
      class="scroller"
      ref={scroller}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard (WCAG 2.1.1)
      tabIndex={0}
      onScroll={(event) => onScroll?.(event.currentTarget.scrollTop)}
    >
      <table class="rows" aria-rowcount={rows.length + 1}>
        <colgroup>
          {COLUMNS.map((name) => (
            <col key={name} class={`c-${name.toLowerCase()}`} />
          ))}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            {COLUMNS.map((name) => (
              <th key={name} scope="col" class={`c-${name.toLowerCase()}`}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {virtual.above > 0 && <Gap height={virtual.above} />}
          {virtual.items.map(({ index }) => {
            const row = rows[isNewestFirst ? index : rows.length - 1 - index];
            return row === undefined ? null : <Row key={row.id} row={row} index={index} />;
          })}
          {virtual.below > 0 && <Gap height={virtual.below} />}
        </tbody>
      </table>
      {rows.length === 0 && <p class="empty">{empty}</p>}
    </div>
  );
}

function Gap({ height }: { readonly height: number }) {
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a row is not focusable, and this one says nothing
    <tr class="gap" aria-hidden="true">
      <td colSpan={COLUMNS.length} style={{ height: `${height}px` }} />
    </tr>
  );
}

function Row({ row, index }: { readonly row: StoredLookup; readonly index: number }) {
  const result = resultOf(row.rcode, row.outcome);
  const notes = notesOf(row);
  const answers = answersText(row.answers, row.answerCount);
  return (
    <tr aria-rowindex={index + 2} class={index % 2 === 1 ? 'odd' : ''} data-id={row.id}>
      <td class="c-time">
        {moment(row.time)}
        <span class="millis">{millis(row.time)}</span>
      </td>
      <td class="c-process">
        <ProcessLink of={row.process} />
        {row.process.workload !== '' && (
          <span class="workload">
            <Text of={row.process.workload} most={64} />
          </span>
        )}
      </td>
      <td class="c-type">
        <Text of={row.type} most={16} />
      </td>
      <td class="c-name">
        <NameLink of={row.name} />
      </td>
      <td class="c-result">
        <Result of={result} />
      </td>
      <td class="c-latency">{latency(row.duration)}</td>
      <td class="c-answers" title={answers}>
        <bdi>{answers}</bdi>
        {notes !== '' && <span class="muted"> {notes}</span>}
      </td>
      <td class="c-server">{serverText(row.server)}</td>
    </tr>
  );
}

function notesOf({ retries, conflicting, rcode, answerCount, reason }: StoredLookup): string {
  const notes: string[] = [];
  if (conflicting) notes.push('conflicting');
  if (retries > 0) notes.push(retries === 1 ? '1 retry' : `${retries} retries`);
  if (rcode === 'NOERROR' && answerCount === 0) notes.push('no data');
  if (reason !== undefined) notes.push(reason.replaceAll('_', ' '));
  return notes.length === 0 ? '' : `(${notes.join(', ')})`;
}

export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && /^(?:INPUT|TEXTAREA|SELECT|BUTTON|A)$/.test(target.tagName);
}
