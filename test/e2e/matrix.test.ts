/** The resolver matrix on this machine, with the family that every kernel with BTF has. The others: test/kernel/matrix.test.ts. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildClients } from '../clients/build.ts';
import { AGENT, type JsonRecord } from '../matrix/agent.ts';
import { type Expectation, judge } from '../matrix/judge.ts';
import { unexpectedFaults } from '../matrix/limits.ts';
import { type FamilyResult, runMatrix } from '../matrix/matrix.ts';
import { assertRingKept, type RingStats } from '../matrix/ring.ts';
import { saveResults } from '../matrix/table.ts';

const ROUNDS = 3;

test('every client, tracepoint', async (t) => {
  buildClients();
  const directory = mkdtempSync(join(tmpdir(), 'whodns-matrix-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const stats = join(directory, 'stats');
  const agent = [...AGENT, '--stats', stats];
  const results = await runMatrix({ families: ['tracepoint'], rounds: ROUNDS, agent, alone: false });
  assertRingKept(JSON.parse(readFileSync(stats, 'utf8')) as RingStats);
  saveResults(results);
  for (const result of results) {
    assert.ok(Object.keys(result.cells).length > 0, result.faults.join('\n'));
    assert.deepEqual(unexpectedFaults(result), []);
  }
});

/** A request and the record that is right for it. */
const EXPECTED: Expectation = {
  name: 'www.example',
  type: 'A',
  pid: 7,
  executable: '/usr/bin/dig',
  server: '::1',
  transport: 'udp',
  responseCode: 'NOERROR',
  addresses: ['192.0.2.2', '192.0.2.10'],
};
const RIGHT: JsonRecord = {
  time: '2026-01-01T00:00:00.000000000Z',
  event_name: 'whodns.query',
  attributes: {
    'dns.question.name': 'www.example',
    'dns.question.type': 'A',
    'dns.response_code': 'NOERROR',
    'dns.answers': ['192.0.2.10', '192.0.2.2'],
    'network.transport': 'udp',
    'network.type': 'ipv6',
    'server.address': '::1',
    'server.port': 53,
    'whodns.hook': 'kprobe',
    'whodns.attribution': 'kernel',
  },
  resource: {
    'process.pid': 7,
    'process.executable.path': '/usr/bin/dig',
    'process.executable.name': 'dig',
  },
};

test('the judge takes the right record', () => {
  assert.deepEqual(judge([EXPECTED], [RIGHT], 'kprobe'), { requests: 1, right: 1, faults: [] });
});

test('the judge finds a missing record, one too many and one taken twice', () => {
  assert.equal(judge([EXPECTED], [], 'kprobe').faults.length, 1);
  assert.equal(judge([], [RIGHT], 'kprobe').faults.length, 1);
  assert.equal(judge([EXPECTED], [RIGHT, RIGHT], 'kprobe').faults.length, 1);
  assert.equal(judge([EXPECTED, EXPECTED], [RIGHT], 'kprobe').faults.length, 1);
});

for (const part of ['attributes', 'resource'] as const) {
  for (const key of Object.keys(RIGHT[part])) {
    test(`the judge finds a wrong and a missing ${key}`, () => {
      const { [key]: _, ...others } = RIGHT[part];
      for (const changed of [{ ...others, [key]: 'wrong' }, others]) {
        const cell = judge([EXPECTED], [{ ...RIGHT, [part]: changed }], 'kprobe');
        assert.equal(cell.right, 0);
        assert.ok(cell.faults.length > 0);
      }
    });
  }
}

const UNANSWERED: JsonRecord = {
  ...RIGHT,
  attributes: {
    ...Object.fromEntries(Object.entries(RIGHT.attributes).filter(([key]) => !/code|answers/.test(key))),
    'error.type': 'timeout',
  },
};

/** Ten requests: nine right, and one of which `records` were found. */
function resultOf(records: readonly JsonRecord[], skipped: number): FamilyResult {
  const right = judge(Array(9).fill(EXPECTED), Array(9).fill(RIGHT), 'kprobe');
  const cells = { right, other: judge([EXPECTED], records, 'kprobe') };
  return { kernel: '7.2', family: 'kprobe', cells, faults: [], skipped };
}

test('a request or an answer that was not seen is a fault, unless the kernel skipped a program', () => {
  for (const records of [[], [UNANSWERED]]) {
    assert.equal(unexpectedFaults(resultOf(records, 0)).length, 1);
    assert.deepEqual(unexpectedFaults(resultOf(records, 1)), []);
  }
});

test('what is wrong or too much is a fault, whatever the kernel skipped, and so is more than a tenth unseen', () => {
  const wrong = { ...UNANSWERED, attributes: { ...UNANSWERED.attributes, 'network.transport': 'tcp' } };
  const untold = { ...UNANSWERED, attributes: { ...UNANSWERED.attributes, 'error.type': undefined } };
  for (const records of [[wrong], [untold], [RIGHT, RIGHT]]) {
    assert.equal(unexpectedFaults(resultOf(records, 100)).length, 1);
  }
  const missing = { right: 0, requests: 2, faults: judge([EXPECTED], [], 'kprobe').faults };
  const result = resultOf([], 100);
  assert.equal(unexpectedFaults({ ...result, cells: { ...result.cells, missing } }).length, 1);
});
