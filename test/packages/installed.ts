/** A program installed below another root, run there on this kernel: a lookup that it captures. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../collector/program-cache.ts';
import { ended } from '../matrix/children.ts';
import type { Finished, Namespace } from '../matrix/namespace.ts';

const PATIENCE_MS = 60_000;
/** In a mount namespace of its own, which goes with it. The root is a mount: rpm's plugin `unshare` asks for that. */
const ENTER =
  'mount --bind "$0" "$0"; for each in proc sys dev; do mkdir -p "$0/$each"; mount --rbind /$each "$0/$each"; done; exec chroot "$0" "$@"';

function inside(root: string, command: readonly string[]): string[] {
  const clean = ['env', '-i', 'PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'];
  return [...clean, 'unshare', '--mount', '--propagation', 'private', 'sh', '-c', ENTER, root, ...command];
}

export function runIn(namespace: Namespace, root: string, command: readonly string[]): Promise<Finished> {
  return namespace.run(inside(root, command), 120_000);
}

/** With this host's network, for what is fetched. @throws with the end of what it printed. @returns its standard output */
export function runOnline(root: string, command: readonly string[]): Promise<string> {
  return run(inside(root, command));
}

/** @throws the record of a lookup made beside it did not come */
export async function captures(
  namespace: Namespace,
  root: string,
  command: readonly string[],
): Promise<void> {
  const options = ['run', '--exporter', 'console', '--format', 'json', '--timeout', '2s'];
  const agent = namespace.spawn(inside(root, [...command, ...options]));
  const lines: string[] = [];
  let errors = '';
  if (agent.stdout === null || agent.stderr === null) throw new Error('no pipes');
  createInterface({ input: agent.stdout }).on('line', (line) => lines.push(line));
  agent.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const until = async (condition: () => boolean) => {
    const deadline = performance.now() + PATIENCE_MS;
    while (!condition()) {
      assert.equal(agent.exitCode, null, errors);
      assert.ok(performance.now() < deadline, `${errors}\n${lines.join('\n')}`);
      await sleep(50);
    }
  };
  try {
    await until(() => errors.includes('capturing with'));
    const name = `p${randomBytes(4).toString('hex')}.packages.test`;
    const asked = await namespace.run(['dig', '+tries=1', '+time=2', '@127.0.0.1', name]);
    assert.equal(asked.exitCode, 0, asked.errors);
    await until(() => lines.some((line) => line.includes(name)));
    const record = JSON.parse(lines.find((line) => line.includes(name)) ?? '');
    assert.equal(record.resource['process.executable.name'], 'dig');
    assert.deepEqual(record.attributes['dns.answers'], ['192.0.2.1']);
  } finally {
    agent.kill('SIGINT');
  }
  assert.equal(await ended(agent, PATIENCE_MS), 0, errors);
}
