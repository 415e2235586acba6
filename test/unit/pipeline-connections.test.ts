/** Connections through the whole pipeline: those of a container that nobody knows yet wait for it. Real but for the source and the runtime. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OnBatch, Source } from '../../src/capture/source.ts';
import { resolveConfig } from '../../src/config/config.ts';
import { DnsCache } from '../../src/dnscache/index.ts';
import { Containers } from '../../src/enrich/containers/containers.ts';
import { ProcessTable } from '../../src/enrich/process/process.ts';
import { UserNames } from '../../src/enrich/process/users.ts';
import { Ledger } from '../../src/ledger.ts';
import { wallClock } from '../../src/lib/clock.ts';
import type { LogEvent, Owner, RawConnection } from '../../src/model.ts';
import { Pipeline } from '../../src/pipeline.ts';
import { container, ListedSource, ownerIn, recordOf } from './workload-sources.ts';

function connection(owner: Owner): RawConnection {
  return {
    kind: 'connection',
    time: wallClock(),
    family: 4,
    networkNamespace: 1,
    socket: 1n,
    local: { address: '198.51.100.1', port: 0 },
    remote: { address: '192.0.2.1', port: 443 },
    owner,
  };
}

test('a connection of a container that is reported later has its name', async () => {
  let deliver: OnBatch = () => undefined;
  const source: Source = {
    start: (onBatch) => {
      deliver = onBatch;
    },
    stop: () => Promise.resolve(),
    stats: () => ({
      hook: undefined,
      counters: {},
      drops: {},
      missedRuns: 0,
      batches: 0,
      batchBytes: 0,
      ring: undefined,
    }),
    processes: () => [],
    forget: () => {},
    finished: new Promise(() => {}),
  };
  const runtime = new ListedSource('cri', 'containers');
  const containers = new Containers({ sources: [runtime] });
  const processes = new ProcessTable({ host: {}, users: new UserNames(), bootTime: 0n, containers });
  const ledger = new Ledger();
  const records: LogEvent[] = [];
  const sink = {
    name: 'test',
    accept: (event: LogEvent) => void records.push(event),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const { config } = resolveConfig('run', { connections: true }, {});
  const parts = { config, source, processes, containers, sink, ledger, metersProcesses: false };
  const pipeline = new Pipeline({ ...parts, dnsCache: new DnsCache(), seesConnections: true });
  await pipeline.start();
  const owner = ownerIn();
  deliver([recordOf(owner), connection(owner), connection(owner)]);
  const count = () => records.length;
  assert.equal(count(), 0);
  runtime.addContainer(container());
  assert.equal(count(), 2);
  for (const { eventName, process, attributes } of records) {
    assert.equal(eventName, 'whodns.connect');
    assert.equal(process.resource['container.name'], 'web');
    assert.equal(attributes['whodns.unresolved'], true);
  }
  // Known by now: no more waiting.
  deliver([connection(owner)]);
  assert.equal(count(), 3);
  await pipeline.stop(100);
  for (const stage of ledger.snapshot()) assert.equal(stage.missing, 0, stage.name);
});
