/** `whodns stats` as text: of a whole answer, of one that is not, of hostile names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statsTable } from '../../src/control/stats-table.ts';

const STAGE = {
  name: 'correlate',
  in: 12,
  out: 10,
  held: 1,
  dropped: { evicted: 1 },
  filtered: {},
  missing: 0,
};

test('stages, kernel and processes, who asks most first', () => {
  const text = statsTable({
    stages: [STAGE],
    source: {
      hook: 'tracepoint',
      counters: { requests: 7, self: 0 },
      drops: { ring_full: 3, no_owner: 0 },
      missedRuns: 0,
      ring: { used: 10, size: 8388608 },
    },
    inspector: { requests: 9, answered: 7, timeout: 2, gone: 0, waiting: 1, hanging: 2 },
    processes: [
      { pid: 7, name: 'dig', udpRequests: 1, tcpRequests: 1, requestBytes: 80 },
      { pid: 4711, name: 'curl', udpRequests: 30, tcpRequests: 0, requestBytes: 900 },
      { pid: 8, udpRequests: 0, tcpRequests: 0, requestBytes: 0 },
    ],
  });
  assert.match(text, /^correlate +12 +10 +1 +0 +1 +evicted 1$/m);
  assert.match(text, /^lost +ring_full 3$/m);
  assert.match(text, /^seen +requests 7$/m);
  assert.match(text, /^requests +9, 1 waiting$/m);
  assert.match(text, /^results +answered 7, timeout 2$/m);
  assert.match(text, /^hanging +2 of 8$/m);
  assert.match(text, /curl(.|\n)*dig/);
  assert.match(text, /^4711 +curl +30 +0 +900$/m);
});

test('an answer of another version, and names that a process chose', () => {
  for (const answer of [undefined, null, {}, { stages: [] }, { source: {} }])
    assert.ok(statsTable(answer).endsWith('\n'));
  const name = '\u001b[31m\u202eevil\nline';
  const text = statsTable({
    stages: [{ ...STAGE, name }],
    processes: [{ pid: 1, name, udpRequests: 1, tcpRequests: 0, requestBytes: 1 }],
  });
  assert.ok(!text.includes('\u001b') && !text.includes('\u202e'));
  assert.equal(
    text
      .trim()
      .split('\n')
      .filter((line) => line.includes('evil')).length,
    2,
  );
  const many = Array.from({ length: 500 }, (_, pid) => ({
    pid,
    udpRequests: pid,
    tcpRequests: 0,
    requestBytes: 0,
  }));
  assert.match(statsTable({ processes: many }), /and 480 processes more/);
});
