/**
 * In a test machine: the agent with what it can be asked for, and after it has given up its rights its maps are read, written and emptied.
 * Prints one line of JSON: what its threads hold and what came of the lookups.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { readRights } from '../../src/capture/rights.ts';
import { ask } from '../../src/control/client.ts';
import { AGENT, Agent } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { startDnsmasq } from '../matrix/servers.ts';

const CONTROL = '/tmp/rights.control';
const PATIENCE_MS = 60_000;

const namespace = await Namespace.open();
const server = await startDnsmasq(namespace, { name: 'test', lines: ['address=/test/192.0.2.1'] }, [
  '127.0.0.1',
]);
// --capture: who is captured is told to the kernel, in a map, whenever a control group comes.
const options = [
  '--connections',
  '--trace-context',
  '--capture',
  'metrics',
  '--capture-host',
  'on',
  '--control',
  CONTROL,
];
const agent = Agent.start([...AGENT, ...options]);
while (agent.running && !agent.errors.includes('capturing with')) await sleep(200);
for (const name of ['one.test', 'two.test']) {
  await namespace.run(['dig', '@127.0.0.1', '+tries=1', name]);
  await agent.waitFor(
    (all) => all.some(({ attributes }) => attributes['dns.question.name'] === name),
    PATIENCE_MS,
  );
  process.kill(agent.pid, 'SIGHUP');
}
const { source, processes } = (await ask(CONTROL, '/stats')) as {
  readonly source: { readonly counters: Readonly<Record<string, number>> };
  readonly processes: readonly unknown[];
};
const rights = readRights(agent.pid);
const exitCode = await agent.stop();
const names = agent.records.map(({ attributes }) => attributes['dns.question.name']);
console.log(
  JSON.stringify({
    rights,
    exitCode,
    names,
    requests: source.counters['requests'],
    processes: processes.length,
    errors: agent.errors,
  }),
);
await server.stop();
await namespace.close();
