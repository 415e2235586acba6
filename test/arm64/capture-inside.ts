/** In the test machine: says `captured` when the program given prints the record of a lookup made beside it. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { startDnsmasq } from '../matrix/servers.ts';

const PATIENCE_MS = 180_000;

const namespace = await Namespace.open();
const zone = { name: 'arm64.test', lines: ['address=/arm64.test/192.0.2.1'] };
const server = await startDnsmasq(namespace, zone, ['127.0.0.1']);
const agent = Agent.start([...process.argv.slice(2), 'run', '--format', 'json']);
try {
  for (const until = Date.now() + PATIENCE_MS; !agent.errors.includes('capturing with'); await sleep(200))
    assert.ok(agent.running && Date.now() < until, agent.errors);
  await namespace.run(['dig', '+tries=1', '+time=20', '@127.0.0.1', 'one.arm64.test']);
  const isOurs = ({ attributes, resource }: Agent['records'][number]) =>
    attributes['dns.question.name'] === 'one.arm64.test' &&
    resource['process.executable.path'] === '/usr/bin/dig' &&
    String(attributes['dns.answers']) === '192.0.2.1';
  assert.ok(await agent.waitFor((records) => records.some(isOurs), PATIENCE_MS), agent.errors);
  assert.equal(await agent.stop(), 0, agent.errors);
  console.log('captured');
} finally {
  await agent.stop();
  await server.stop();
  await namespace.close();
}
