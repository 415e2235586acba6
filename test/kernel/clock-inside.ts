/**
 * Sets the machine's clock while the agent captures: for a test machine only. Prints, a line of JSON a step, when a request was
 * sent by the clock that held then and what its record says.
 */
import { execFileSync } from 'node:child_process';
import { AGENT, Agent } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { startDnsmasq } from '../matrix/servers.ts';

const HOUR_S = 3600;
const STEPS_S = [0, HOUR_S, -2 * HOUR_S, 400 * 24 * HOUR_S, -400 * 24 * HOUR_S, 5];
const PATIENCE_MS = 60_000;
if (process.env['WHODNS_TEST_BUILT'] === undefined)
  throw new Error('this sets the clock: only in a test machine');

const namespace = await Namespace.open();
const server = await startDnsmasq(namespace, { name: 'test', lines: ['address=/test/192.0.2.1'] }, [
  '127.0.0.1',
]);
const agent = Agent.start(AGENT);
while (!agent.errors.includes('capturing with')) await pause(200);

for (const [index, step] of STEPS_S.entries()) {
  if (step !== 0) execFileSync('busybox', ['date', '-s', `@${Math.floor(Date.now() / 1000) + step}`]);
  await pause(1500); // the agent looks whether it was set once a second
  const name = `step${index}.test`;
  const before = Date.now();
  await namespace.run(['dig', '@127.0.0.1', '+tries=1', name]);
  const after = Date.now();
  const isOurs = (record: { attributes: Readonly<Record<string, unknown>> }) =>
    record.attributes['dns.question.name'] === name;
  await agent.waitFor((records) => records.some(isOurs), PATIENCE_MS);
  const records = agent.records.filter(isOurs).map(({ time, attributes }) => ({
    time,
    duration: attributes['dns.lookup.duration'],
    error: attributes['error.type'],
  }));
  console.log(JSON.stringify({ step, before, after, records }));
}
await agent.stop();
await server.stop();
await namespace.close();

/** By the monotonic clock, as every timer. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
