/** One name: who asked for it, and what they were told over time. */
import type { NameAnswer } from '../../history/types.ts';
import { useAsk } from './ask.ts';
import { count, moment, shown } from './format.ts';
import { MiniTimeline } from './mini-timeline.tsx';
import { condition } from './narrow.ts';
import { href } from './place.ts';
import { answersText, Result, Text } from './text.tsx';
import { TopTable } from './top.tsx';

export function NamePanel({ of: name }: { readonly of: string }) {
  const { data, error } = useAsk<NameAnswer>(
    `name ${name}`,
    () => ({ route: 'api/name', params: { name } }),
    5000,
  );
  if (data === undefined) return <p class="empty">{error?.message ?? 'Asking…'}</p>;
  const total = data.processes.reduce((sum, row) => sum + row.count, 0);
  return (
    <>
      <h2 tabIndex={-1} class="mono">
        <Text of={data.name} most={255} />
      </h2>
      <p class="lead">
        {count(total)} lookups by {count(data.processes.length)} processes, first {moment(data.firstSeen)},
        last {moment(data.lastSeen)}.{' '}
        <a href={href({ view: 'lookups', filter: condition('name', name) })}>Only this name</a>
        {data.domain !== '' && data.domain !== data.name.toLowerCase() && (
          <>
            {' · '}
            <a href={href({ view: 'lookups', filter: condition('domain', data.domain) })}>
              all of <bdi>{shown(data.domain, 255)}</bdi>
            </a>
          </>
        )}
      </p>
      <MiniTimeline params={{ exactly: name }} />
      <section>
        <h3>Answers over time</h3>
        <table class="list answers">
          <thead>
            <tr>
              <th scope="col">Type</th>
              <th scope="col">Answer</th>
              <th scope="col" class="number">
                TTL
              </th>
              <th scope="col" class="number">
                Times
              </th>
              <th scope="col" class="number">
                First
              </th>
              <th scope="col" class="number">
                Last
              </th>
            </tr>
          </thead>
          <tbody>
            {data.answers.map((each) => (
              <tr key={`${each.type} ${each.result} ${each.firstSeen} ${answersText(each.answers)}`}>
                <td>
                  <Text of={each.type} most={16} />
                </td>
                <td class="mono wrap">
                  {each.answers.length > 0 ? (
                    <bdi>{answersText(each.answers)}</bdi>
                  ) : (
                    <Result of={each.result} />
                  )}
                </td>
                <td class="number">{ttlOf(each.minTtl, each.maxTtl)}</td>
                <td class="number">{count(each.count)}</td>
                <td class="number muted">{moment(each.firstSeen)}</td>
                <td class="number muted">{moment(each.lastSeen)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <section>
        <h3>Who asked</h3>
        <TopTable rows={data.processes} total={total} by="process" />
      </section>
    </>
  );
}

/** Seconds. A resolver counts them down, so there is a range. */
function ttlOf(least: number | undefined, most: number | undefined): string {
  if (least === undefined || most === undefined) return '';
  return least === most ? `${least} s` : `${least}–${most} s`;
}
