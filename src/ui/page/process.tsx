/** One process: who it is, whose child, what it asked, how that went. */
import type { ProcessAnswer, StoredProcess } from '../../history/types.ts';
import { Facts } from './agent.tsx';
import { useAsk } from './ask.ts';
import { FindingList } from './findings.tsx';
import { count, latency, moment, percent, shown } from './format.ts';
import { MiniTimeline } from './mini-timeline.tsx';
import { condition, narrowed } from './narrow.ts';
import { href } from './place.ts';
import { NameLink, ProcessLink, serverText, Text } from './text.tsx';

const MAX_NAMES = 100;

export function ProcessPanel({ of: key }: { readonly of: string }) {
  const { data, error } = useAsk<ProcessAnswer>(
    `process ${key}`,
    () => ({ route: 'api/process', params: { key } }),
    5000,
  );
  if (data === undefined) return <p class="empty">{error?.message ?? 'Asking…'}</p>;
  const { process, parents, children, names, connections, findings } = data;
  const total = names.reduce((sum, row) => sum + row.count, 0);
  const failed = names.reduce((sum, row) => sum + row.failed, 0);
  return (
    <>
      <h2 tabIndex={-1}>
        <Text of={process.executable || '?'} /> <span class="pid">{process.pid || ''}</span>
      </h2>
      <p class="lead">
        {count(total)} lookups, {count(failed)} failed ({percent(failed, total)}), {count(names.length)}{' '}
        names.{' '}
        <a href={href({ view: 'lookups', filter: narrowed('', `pid=${process.pid}`) })}>Only this process</a>
      </p>
      <MiniTimeline params={{ process: key }} />
      <section>
        <h3>Tree</h3>
        <ol class="tree">
          {parents.toReversed().map((each) => (
            <li key={each.key}>
              <ProcessLink of={each} />
            </li>
          ))}
          {parents.length === 0 && process.parent !== '' && (
            <li class="muted">
              <Text of={process.parent} /> <span class="pid">{process.parentPid || ''}</span>
            </li>
          )}
          <li aria-current="true">
            <Text of={process.executable || '?'} /> <span class="pid">{process.pid || ''}</span>
            {children.length > 0 && (
              <ul>
                {children.map((each) => (
                  <li key={each.key}>
                    <ProcessLink of={each} />
                  </li>
                ))}
              </ul>
            )}
          </li>
        </ol>
      </section>
      <section>
        <h3>Who it is</h3>
        <Facts
          of={{
            ...factsOf(process),
            'first seen': moment(data.firstSeen),
            'last seen': moment(data.lastSeen),
          }}
        />
      </section>
      {findings.length > 0 && (
        <section>
          <h3>Findings</h3>
          <FindingList rows={findings} />
        </section>
      )}
      <section>
        <h3>Names</h3>
        <table class="list">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="number">
                Lookups
              </th>
              <th scope="col" class="number">
                Failed
              </th>
              <th scope="col" class="number">
                p50
              </th>
              <th scope="col" class="number">
                p99
              </th>
              <th scope="col" class="number">
                First seen
              </th>
            </tr>
          </thead>
          <tbody>
            {names.slice(0, MAX_NAMES).map((row) => (
              <tr key={row.key}>
                <th scope="row">
                  <NameLink of={row.label} />
                </th>
                <td class="number">{count(row.count)}</td>
                <td class={row.failed > 0 ? 'number bad' : 'number muted'}>
                  {percent(row.failed, row.count)}
                </td>
                <td class="number">{latency(row.p50)}</td>
                <td class="number">{latency(row.p99)}</td>
                <td class="number muted">{moment(row.firstSeen)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {names.length > MAX_NAMES && <p class="muted">and {count(names.length - MAX_NAMES)} more</p>}
      </section>
      {connections.length > 0 && (
        <section>
          <h3>Connections</h3>
          <ul class="plain">
            {connections.map((each) => (
              <li key={each.id}>
                <time class="muted">{moment(each.time)}</time> {serverText(each.remote)}{' '}
                {each.names[0] === undefined ? (
                  <span class="warn">no name known</span>
                ) : (
                  <a href={href({ view: 'lookups', filter: condition('answer', each.remote.address) })}>
                    <Text of={each.names[0]} most={255} />
                  </a>
                )}
              </li>
            ))}
          </ul>
        </section>
      )}
      <details>
        <summary>All attributes</summary>
        <Facts
          of={Object.fromEntries(
            Object.entries(process.resource).map(([name, value]) => [shown(name, 128), shown(String(value))]),
          )}
        />
      </details>
    </>
  );
}

/** What is known. */
function factsOf(process: StoredProcess): Record<string, string> {
  const { user: login, userId } = process;
  const user = userId === undefined ? '' : login === '' ? String(userId) : `${login} (${userId})`;
  const facts: Record<string, string> = {
    executable: process.path,
    command: process.command,
    user,
    started: process.started === undefined ? '' : moment(process.started),
    container: process.container || process.containerId,
    pod: process.pod === '' ? '' : `${process.namespace}/${process.pod}`,
    service: process.service,
    'known from': process.attribution,
  };
  return Object.fromEntries(
    Object.entries(facts)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => [name, shown(value)]),
  );
}
