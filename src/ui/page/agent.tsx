/** The agent's own state: what it saw, what became of it, what it lost. */
import type { AgentHealth } from '../protocol.ts';
import { useAsk } from './ask.ts';
import { age, bytes, count, moment } from './format.ts';

const EVERY_MS = 2000;

export function Agent() {
  const { data, error } = useAsk<AgentHealth>(
    'health',
    () => ({ route: 'api/health', params: {} }),
    EVERY_MS,
  );
  if (data === undefined) return <p class="empty">{error?.message ?? 'Asking…'}</p>;
  const { source, history, memory, stages } = data;
  const lost = stages.reduce((sum, { dropped }) => sum + total(dropped), 0) + total(source.drops);
  const missing = stages.reduce((sum, stage) => sum + Math.abs(stage.missing), 0);
  return (
    <section class="agent" aria-label="The agent's own state">
      <div class="tiles">
        <Tile
          label="Lost"
          value={count(lost)}
          tone={lost > 0 ? 'bad' : 'good'}
          note="messages, by any cause"
        />
        <Tile
          label="Unaccounted"
          value={count(missing)}
          tone={missing > 0 ? 'bad' : 'good'}
          note="in − out − dropped − held"
        />
        <Tile label="Hooks" value={source.hook ?? 'none'} note={`${count(source.missedRuns)} runs missed`} />
        <Tile label="Memory" value={bytes(memory.rss)} note={`heap ${bytes(memory.heap)}`} />
        <Tile
          label="Up"
          value={age((Date.now() - data.started / 1000) * 1000)}
          note={`whodns ${data.version}`}
        />
        <Tile label="History" value={count(history.lookups)} note={`lookups, ${bytes(history.bytes)}`} />
        {source.ring !== undefined && <Ring {...source.ring} />}
      </div>
      <div class="cards two">
        <section class="card wide">
          <h2>Ledger</h2>
          <table class="list ledger">
            <thead>
              <tr>
                {['Stage', 'In', 'Out', 'Dropped', 'Filtered', 'Held', 'Why'].map((title) => (
                  <th key={title} scope="col" class={title === 'Stage' || title === 'Why' ? '' : 'number'}>
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {stages.map((stage) => (
                <tr key={stage.name}>
                  <th scope="row">{stage.name}</th>
                  <td class="number">{count(stage.in)}</td>
                  <td class="number">{count(stage.out)}</td>
                  <td class={total(stage.dropped) > 0 ? 'number bad' : 'number muted'}>
                    {count(total(stage.dropped))}
                  </td>
                  <td class="number muted">{count(total(stage.filtered))}</td>
                  <td class="number muted">{count(stage.held)}</td>
                  <td class="muted">{reasons({ ...stage.dropped, ...stage.filtered })}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
        <section class="card">
          <h2>Kernel</h2>
          <Facts
            of={{
              ...Object.fromEntries(
                Object.entries(source.counters).map(([name, value]) => [words(name), count(value)]),
              ),
              lost: reasons(source.drops) || 'nothing',
            }}
          />
        </section>
        <section class="card">
          <h2>History</h2>
          <Facts
            of={{
              place: history.place === ':memory:' ? 'memory' : history.place,
              size: bytes(history.bytes),
              lookups: count(history.lookups),
              connections: count(history.connections),
              findings: count(history.findings),
              processes: count(history.processes),
              names: count(history.names),
              oldest: history.oldest === undefined ? 'none' : moment(history.oldest),
              'pages that look': count(data.viewers),
            }}
          />
        </section>
      </div>
    </section>
  );
}

interface TileProps {
  readonly label: string;
  readonly value: string;
  readonly note: string;
  readonly tone?: 'good' | 'bad';
}

function Tile({ label, value, note, tone }: TileProps) {
  return (
    <div class="tile">
      <span class="label">{label}</span>
      <strong class={tone ?? ''}>{value}</strong>
      <span class="muted">{note}</span>
    </div>
  );
}

function Ring({ used, size }: { readonly used: number; readonly size: number }) {
  return (
    <div class="tile">
      <span class="label">Ring</span>
      <meter aria-label="Fill of the kernel's ring" value={used} max={size} high={size / 2} optimum={0} />
      <span class="muted">
        {bytes(used)} of {bytes(size)}
      </span>
    </div>
  );
}

export function Facts({ of: facts }: { readonly of: Readonly<Record<string, string>> }) {
  return (
    <dl class="facts">
      {Object.entries(facts).map(([name, value]) => (
        <>
          <dt>{name}</dt>
          <dd>
            <bdi>{value}</bdi>
          </dd>
        </>
      ))}
    </dl>
  );
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, value) => sum + value, 0);
}

function reasons(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, value]) => value > 0)
    .map(([reason, value]) => `${words(reason)} ${count(value)}`)
    .join(', ');
}

function words(name: string): string {
  return name.replaceAll('_', ' ');
}
