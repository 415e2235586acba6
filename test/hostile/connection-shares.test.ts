/**
 * Connections whose SYN never leaves, by the thousand: with packet hooks each waits for its source port in the kernel, and what waits is
 * bounded. A victim's connections have their process and port all the same.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { end } from '../matrix/children.ts';
import { finish, Namespace } from '../matrix/namespace.ts';
import { reportAttack } from './report.ts';
import { patient } from './scale.ts';

/** The host's, which every user may run. */
const PYTHON = '/usr/bin/python3';
const PROGRAM = join(import.meta.dirname, 'connection_flood.py');
const HERE = '198.51.100.1';
const SILENT = '198.51.100.2';
/** bpf/maps.h, WAITING_MAX, and some more. */
const FLOOD = 18_000;
const CONNECTIONS = 40;
const GAP_MS = 50;
const ATTACKER = 1000;
const LIMIT_MS = patient(30_000);
const PATIENCE_MS = patient(10_000);

let namespace: Namespace;
let agent: Agent;
let listener: ChildProcess;
const children: ChildProcess[] = [];

before(async () => {
  namespace = await Namespace.open();
  const { exitCode, errors } = await namespace.run([PYTHON, PROGRAM, 'setup']);
  assert.equal(exitCode, 0, errors);
  listener = namespace.spawn([PYTHON, PROGRAM, 'listen', HERE]);
  await once(listener.stdout as NodeJS.ReadableStream, 'data');
  // Neither the budget of records is asked here, nor how many are printed.
  const options = [
    '--hook',
    'tracepoint',
    '--connections',
    '--cgroup-rate',
    '0',
    '--filter',
    `answer=${HERE}`,
  ];
  agent = Agent.start([...AGENT, ...options], isConnection);
  const deadline = performance.now() + LIMIT_MS;
  while (!agent.errors.includes('capturing with')) {
    assert.ok(agent.running && performance.now() < deadline, agent.errors);
    await sleep(50);
  }
});

after(async () => {
  await agent?.stop();
  for (const child of [...children, listener]) if (child !== undefined) await end(child);
  await namespace?.close();
});

function isConnection({ event_name, attributes }: JsonRecord): boolean {
  return event_name === 'whodns.connect' && attributes['network.peer.address'] === HERE;
}

for (const [whose, uid] of [
  ['another user', 0],
  ['the same user', ATTACKER],
] as const)
  test(`the connections of a victim while ${whose} fills what waits`, { timeout: LIMIT_MS }, async () => {
    const flood = namespace.spawn(
      [
        'setpriv',
        `--reuid=${ATTACKER}`,
        '--clear-groups',
        '--',
        PYTHON,
        PROGRAM,
        'flood',
        SILENT,
        String(FLOOD),
      ],
      ['pipe', 'pipe', 'inherit'],
    );
    children.push(flood);
    const [opened] = await Promise.race([
      once(flood.stdout as NodeJS.ReadableStream, 'data'),
      once(flood, 'close'),
    ]);
    assert.equal(Number(opened), FLOOD);
    const argv = [PYTHON, PROGRAM, 'victim', HERE, String(CONNECTIONS), String(GAP_MS)];
    const victim = namespace.spawn(['setpriv', `--reuid=${uid}`, '--clear-groups', '--', ...argv]);
    const { exitCode, output, errors } = await finish(victim, LIMIT_MS);
    assert.equal(exitCode, 0, errors);
    const { pid, ports } = JSON.parse(output) as { pid: number; ports: number[] };
    const isMine = ({ resource }: JsonRecord): boolean => resource['process.pid'] === pid;
    await agent.waitFor((records) => records.filter(isMine).length >= CONNECTIONS, PATIENCE_MS);
    const told = agent.records.filter(isMine).map(({ attributes }) => attributes['network.local.port']);
    assert.deepEqual(told, ports);
    flood.stdin?.end();
    await once(flood, 'close');
    reportAttack({
      attack: `${FLOOD} connections whose SYN never leaves, of ${whose === 'another user' ? 'another user than the victim' : "the victim's own user"}`,
      stranger: 'user',
      holds: "a victim's connections have their process and their source port",
      figure: `${told.filter((port) => port !== undefined).length} of ${CONNECTIONS} ports told`,
    });
  });
