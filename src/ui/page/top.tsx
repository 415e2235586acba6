/** Who asks most, what for, whom, and what fails. A row narrows the filter to it. */
import { useSignal } from '@preact/signals';
import type { TopAnswer, TopBy, TopQuery, TopRow } from '../../history/types.ts';
import { useAsk } from './ask.ts';
import { count, latency, percent, shown } from './format.ts';
import { condition, narrowed } from './narrow.ts';
import { asked, filter, href, span } from './place.ts';
import { executableOf, Result, Text } from './text.tsx';

const LISTS: readonly { readonly by: TopBy; readonly title: string }[] = [
  { by: 'process', title: 'Processes' },
  { by: 'domain', title: 'Domains' },
  { by: 'name', title: 'Names' },
  { by: 'server', title: 'Servers' },
  { by: 'failure', title: 'Failures' },
  { by: 'type', title: 'Types' },
];
const LIMIT = 12;
const EVERY_MS = 2000;

type Sort = NonNullable<TopQuery['sort']>;
const SORTS: readonly { readonly sort: Sort; readonly label: string }[] = [
  { sort: 'count', label: 'most lookups' },
  { sort: 'failed', label: 'most failures' },
  { sort: 'p99', label: 'slowest (p99)' },
  { sort: 'names', label: 'most names' },
];

export function Top() {
  const sort = useSignal<Sort>('count');
  return (
    <section class="top" aria-label="Top lists">
      <div class="view-bar">
        <label>
          Sort by{' '}
          <select
            value={sort.value}
            onChange={(event) => {
              sort.value = event.currentTarget.value as Sort;
            }}
          >
            {SORTS.map((each) => (
              <option key={each.sort} value={each.sort}>
                {each.label}
              </option>
            ))}
          </select>
        </label>
      </div>
      <div class="cards">
        {LISTS.map(({ by, title }) => (
          <List key={by} by={by} title={title} sort={sort.value} />
        ))}
      </div>
    </section>
  );
}

interface ListProps {
  readonly by: TopBy;
  readonly title: string;
  readonly sort: Sort;
}

function List({ by, title, sort }: ListProps) {
  const { data, error, isStale } = useAsk<TopAnswer>(
    JSON.stringify([by, sort, filter.value, span.value]),
    () => ({ route: 'api/top', params: { by, sort, limit: LIMIT, filter: filter.value, ...asked() } }),
    span.value.kind === 'fixed' ? undefined : EVERY_MS,
  );
  return (
    <section class="card" aria-label={title} aria-busy={isStale}>
      <h2>{title}</h2>
      {error !== undefined && <p class="warn">{error.message}</p>}
      <TopTable rows={data?.rows ?? []} total={data?.count ?? 0} by={by} />
      {data?.rows.length === 0 && <p class="empty">Nothing in this span.</p>}
    </section>
  );
}

interface TableProps {
  readonly rows: readonly TopRow[];
  readonly total: number;
  readonly by: TopBy;
}

const HEADS: Readonly<Record<TopBy, string>> = {
  process: 'Process',
  domain: 'Domain',
  name: 'Name',
  server: 'Server',
  failure: 'Result',
  type: 'Type',
};

export function TopTable({ rows, total, by }: TableProps) {
  const most = Math.max(...rows.map(({ count: value }) => value), 1);
  const hasFailed = by !== 'failure';
  return (
    <table class="list">
      <thead>
        <tr>
          <th scope="col">{HEADS[by]}</th>
          <th scope="col" class="number">
            Lookups
          </th>
          <th scope="col" class="number">
            Share
          </th>
          {hasFailed && (
            <th scope="col" class="number">
              Failed
            </th>
          )}
          {hasFailed && (
            <th scope="col" class="number" title="Half of the answers came within">
              p50
            </th>
          )}
          {hasFailed && (
            <th scope="col" class="number" title="99 of 100 answers came within">
              p99
            </th>
          )}
          {by !== 'name' && (
            <th scope="col" class="number">
              Names
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.key}>
            <th scope="row">
              <svg class="meter" aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 1">
                <rect width={(100 * row.count) / most} height="1" />
              </svg>
              <Label row={row} by={by} />
            </th>
            <td class="number">{count(row.count)}</td>
            <td class="number muted">{percent(row.count, total)}</td>
            {hasFailed && (
              <td class={row.failed > 0 ? 'number bad' : 'number muted'}>{percent(row.failed, row.count)}</td>
            )}
            {hasFailed && <td class="number">{latency(row.p50)}</td>}
            {hasFailed && <td class="number">{latency(row.p99)}</td>}
            {by !== 'name' && <td class="number muted">{count(row.names)}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Label({ row, by }: { readonly row: TopRow; readonly by: TopBy }) {
  if (by === 'process' && row.process !== undefined)
    return (
      <a
        href={href({ subject: { kind: 'process', key: row.process.key } })}
        title={shown(row.process.path, 256)}
      >
        <Text of={executableOf(row.process)} most={64} />
        {row.process.pid > 0 && <span class="pid">{row.process.pid}</span>}
      </a>
    );
  if (by === 'name')
    return (
      <a href={href({ subject: { kind: 'name', name: row.key } })}>
        <Text of={row.label} most={255} />
      </a>
    );
  if (by === 'process') return <span>{shown(row.label)}</span>;
  return (
    <a
      href={href({ view: 'lookups', filter: narrowed(filter.value, condition(by, row.key)) })}
      title={`Only ${shown(row.label, 255)}`}
    >
      {by === 'failure' ? <Result of={row.label.replaceAll('_', ' ')} /> : <Text of={row.label} most={255} />}
    </a>
  );
}
