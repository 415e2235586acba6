/** What the tests run the agent with: a line cut at its end, and what its ledger says of the kernel's ring. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Agent } from '../matrix/agent.ts';

const TIME = '2026-11-30T11:00:00.000000000Z';
/** As little as the schema lets through. */
const RECORD = JSON.stringify({
  time: TIME,
  observed_time: TIME,
  event_name: 'whodns.query',
  severity_number: 9,
  body: '',
  attributes: {
    'whodns.hook': 'tracepoint',
    'whodns.attribution': 'kernel',
    'log.record.uid': '0198c5b0-0000-7000-8000-000000000000',
  },
  resource: {},
});

/** A program in the agent's place: prints the text and waits for its end. */
const printing = (text: string): string[] => [
  process.execPath,
  '-e',
  `process.on('SIGTERM', () => process.exit(0)); process.stdout.write(${JSON.stringify(text)}); setInterval(() => {}, 1000)`,
];

for (const [title, rest] of [
  ['cut at its end', '{"attributes":{"dns'],
  ['in the midst', `no JSON\n${RECORD}\n`],
  ['that is no record', '[]\n'],
] as const)
  test(`a line ${title} is thrown by stop(), which ends`, { timeout: 20_000 }, async () => {
    const agent = Agent.start(printing(`${RECORD}\n${rest}`));
    assert.ok(await agent.waitFor((records) => records.length > 0, 10_000));
    await assert.rejects(agent.stop(), /not a record/);
    assert.ok(!agent.running);
    assert.equal(agent.records.length, rest.includes(RECORD) ? 2 : 1);
    assert.equal(await agent.stop(), 0);
  });

const NOTHING = {
  ring_full: 0,
  process_ring_full: 0,
  response_ring_full: 0,
  request_suppressed: 0,
  response_suppressed: 0,
};

for (const { drops, lost } of [
  { drops: NOTHING, lost: false },
  { drops: { ...NOTHING, ring_full: 7 }, lost: true },
  { drops: { ...NOTHING, process_ring_full: 1 }, lost: true },
  { drops: { ...NOTHING, request_suppressed: 1 }, lost: true },
  { drops: {}, lost: true },
])
  test(`ring kept: ${JSON.stringify(drops)}`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'whodns-ring-'));
    const control = join(directory, 'control');
    const server = createServer((_, response) => response.end(JSON.stringify({ source: { drops } })));
    await new Promise<void>((resolve) => server.listen(control, resolve));
    // node takes what follows `--` as arguments of the script
    const agent = Agent.start([...printing(`${RECORD}\n`), '--', '--control', control]);
    try {
      const holds = agent.expect((records) => records.length === 1, 10_000);
      if (lost) await assert.rejects(holds, /ring was full .* lost, by its own ledger/);
      else await holds;
    } finally {
      server.close();
      await agent.stop();
      rmSync(directory, { recursive: true });
    }
  });
