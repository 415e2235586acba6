/** The published JSON Schema of `--format json` (data/records.schema.json) against what is printed of every kind of record. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { Agent } from '../../src/agent.ts';
import { resolveConfig } from '../../src/config/config.ts';
import type { Detector, DetectorEvent } from '../../src/detect/detector.ts';
import { findingRecord } from '../../src/detect/finding.ts';
import { Ledger } from '../../src/ledger.ts';
import { createLog } from '../../src/lib/log.ts';
import type { LogEvent } from '../../src/model.ts';
import { toSuppressedLog } from '../../src/records/suppressed-record.ts';
import { ConsoleJsonSink } from '../../src/sinks/console/json.ts';
import { RCODES } from '../../src/tables/rcodes.ts';
import { levelEvent } from '../../src/visibility/event.ts';
import { schemaProblem } from '../matrix/record-schema.ts';
import { connectionLog, identity, logEvent, lookup, TIME } from './sink-events.ts';

/** As the console prints it. */
async function printed(event: LogEvent): Promise<Record<string, unknown>> {
  const stream = new PassThrough();
  const sink = new ConsoleJsonSink({ stream, ledger: new Ledger() });
  sink.accept(event);
  await sink.close(1000);
  return JSON.parse(String(stream.read()));
}

async function assertValid(event: LogEvent): Promise<void> {
  const record = await printed(event);
  assert.equal(schemaProblem(record), undefined, JSON.stringify(record));
}

test('every record of every capture, as `whodns replay --format json` prints it', async () => {
  const { config } = resolveConfig('replay', { format: 'json', ports: ['53', '8053'] }, {});
  let count = 0;
  for (const file of globSync('test/golden/pcaps/*.pcap')) {
    const stdout = new PassThrough();
    const host = { stdout, color: false, environment: {}, version: '0', log: createLog('none', () => {}) };
    const agent = await Agent.create({ config, file, ...host });
    await agent.start();
    await agent.finished;
    await agent.stop(1000);
    for (const line of String(stdout.read() ?? '')
      .split('\n')
      .filter((text) => text !== '')) {
      count++;
      assert.equal(schemaProblem(JSON.parse(line)), undefined, `${file}: ${line}`);
    }
  }
  assert.ok(count > 30, `${count}`);
});

test('lookups of all outcomes, with all that a record can have', async () => {
  await assertValid(logEvent());
  for (const outcome of ['timeout', 'connection_refused', 'sent'] as const)
    await assertValid(logEvent({ outcome }));
  await assertValid(logEvent({ outcome: 'unknown', reason: 'ring_full' }));
  await assertValid(logEvent({ rcode: RCODES.NXDOMAIN, conflictsWith: 'x', retries: 3 }));
  await assertValid(logEvent({ search: { base: 'a', step: 1, wasted: 2 } }));
  const resource = {
    ...identity().resource,
    'service.version': ['1'],
    'service.name': 7,
    mine: [true],
    'container.label.a': 'b',
  };
  await assertValid(logEvent({ process: identity({ resource }) }));
});

test('connections, findings, levels, what was left out', async () => {
  await assertValid(connectionLog());
  await assertValid(connectionLog({ names: ['a.test'], scope: 'process', answered: TIME, expires: TIME }));
  const detector: Detector = { name: 'mine', severity: 'error', describe: 'd', onEvent: () => undefined };
  const event = {
    kind: 'lookup',
    lookup: lookup(),
    process: identity(),
    at: 1,
    uid: 'u',
    name: '',
    domain: '',
    search: undefined,
  };
  const finding = {
    subject: 's',
    message: 'm',
    kind: 'k',
    evidence: { 'my.own': [1, 2], 'dns.question.name': 'a' },
  };
  await assertValid(findingRecord(finding, detector, event as DetectorEvent, TIME, 3));
  const share = {
    share: { cgroupId: 7n, user: 33 },
    common: undefined,
    requests: 1,
    responses: 2,
    connections: 3,
    since: TIME,
  };
  await assertValid(toSuppressedLog(share, identity(), {}, TIME));
  const change = {
    name: 'web',
    previous: 'on',
    decision: { level: 'off', origin: 'pod', reason: 'whodns/capture: off' },
  };
  await assertValid(levelEvent(change as Parameters<typeof levelEvent>[0], TIME, { 'host.name': 'h' }));
});

test('it refuses what no record is: another type, an attribute without a row in the table, a missing part', async () => {
  const record = await printed(logEvent());
  const attributes = record['attributes'] as Record<string, unknown>;
  assert.equal(schemaProblem(record), undefined);
  assert.notEqual(schemaProblem({ ...record, attributes: { ...attributes, 'dns.id': 'seven' } }), undefined);
  assert.notEqual(schemaProblem({ ...record, attributes: { ...attributes, 'whodns.new': 1 } }), undefined);
  assert.notEqual(schemaProblem({ ...record, time: '2026-01-01' }), undefined);
  assert.notEqual(
    schemaProblem({ ...record, resource: { ...(record['resource'] as object), 'process.pid': '7' } }),
    undefined,
  );
  assert.notEqual(schemaProblem({ ...record, event_name: 'other' }), undefined);
  assert.notEqual(schemaProblem({ ...record, resource: undefined }), undefined);
});
