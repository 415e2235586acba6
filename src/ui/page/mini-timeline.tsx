/** Lookups over the span that the page shows, of one process or name, as a few bars. */
import type { TimelineAnswer } from '../../history/types.ts';
import { type Params, useAsk } from './ask.ts';
import { count, moment } from './format.ts';
import { asked, span } from './place.ts';

const BUCKETS = 60;
const HEIGHT = 36;
const EVERY_MS = 5000;

export function MiniTimeline({ params }: { readonly params: Params }) {
  const { data } = useAsk<TimelineAnswer>(
    JSON.stringify([params, span.value]),
    () => ({ route: 'api/timeline', params: { buckets: BUCKETS, ...asked(), ...params } }),
    span.value.kind === 'fixed' ? undefined : EVERY_MS,
  );
  const counts = data?.count ?? [];
  const most = Math.max(...counts, 1);
  const total = counts.reduce((sum, value) => sum + value, 0);
  const end = data === undefined ? 0 : data.from + counts.length * data.width;
  return (
    <figure class="mini">
      <svg
        viewBox={`0 0 ${Math.max(counts.length, 1)} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${count(total)} lookups in the chosen span`}
      >
        {counts.map((value, index) => {
          const height = (value / most) * HEIGHT;
          const bad = ((data?.failed[index] ?? 0) / most) * HEIGHT;
          return (
            <g key={index}>
              <rect class="bar" x={index + 0.1} width={0.8} y={HEIGHT - height} height={height} />
              <rect class="bar failed" x={index + 0.1} width={0.8} y={HEIGHT - bad} height={bad} />
            </g>
          );
        })}
      </svg>
      <figcaption class="muted">
        <span>{data === undefined ? '' : moment(data.from)}</span>
        <span>{data === undefined ? '' : `${count(total)} in this span`}</span>
        <span>{data === undefined ? '' : moment(end)}</span>
      </figcaption>
    </figure>
  );
}
