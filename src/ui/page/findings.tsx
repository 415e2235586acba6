/** What the detectors found. */
import type { SearchAnswer, StoredFinding } from '../../history/types.ts';
import { useAsk } from './ask.ts';
import { moment, shown } from './format.ts';
import { asked, filter, span } from './place.ts';
import { ProcessLink, Text } from './text.tsx';

const EVERY_MS = 3000;
const LIMIT = 200;

export function Findings() {
  const { data, error, isStale } = useAsk<SearchAnswer>(
    JSON.stringify([filter.value, span.value]),
    () => ({
      route: 'api/search',
      params: { kinds: 'finding', limit: LIMIT, filter: filter.value, ...asked() },
    }),
    span.value.kind === 'fixed' ? undefined : EVERY_MS,
  );
  const rows = (data?.rows ?? []) as readonly StoredFinding[];
  return (
    <section class="findings" aria-label="Findings" aria-busy={isStale}>
      {error !== undefined && <p class="warn">{error.message}</p>}
      {rows.length === 0 && error === undefined && (
        <p class="empty">{isStale ? 'Asking…' : 'No finding in this span. Detectors run with --detect.'}</p>
      )}
      <FindingList rows={rows} />
    </section>
  );
}

export function FindingList({ rows }: { readonly rows: readonly StoredFinding[] }) {
  return (
    <ul class="finding-list">
      {rows.map((row) => (
        <li key={row.id} class={row.severity >= 17 ? 'bad' : row.severity >= 13 ? 'warn' : ''}>
          <div class="finding-head">
            <span class="severity">
              {row.severity >= 17 ? 'error' : row.severity >= 13 ? 'warning' : 'info'}
            </span>
            <time>{moment(row.time)}</time>
            <ProcessLink of={row.process} />
          </div>
          <p>
            <Text of={row.body} />
          </p>
          <details>
            <summary>Evidence</summary>
            <dl class="facts">
              {Object.entries(row.attributes).map(([name, value]) => (
                <>
                  <dt>{shown(name, 128)}</dt>
                  <dd>
                    <Text of={String(value)} />
                  </dd>
                </>
              ))}
            </dl>
          </details>
        </li>
      ))}
    </ul>
  );
}
