/** What became of executables, and who serves names: asked of real processes. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { executableState } from '../../src/enrich/process/executable.ts';
import { NameServing, socketReader } from '../../src/enrich/process/listening.ts';
import type { Owner } from '../../src/model.ts';
import { OWNER } from './correlate-events.ts';
import { startInspector, targetOf } from './process-target.ts';

const inspector = startInspector();
after(() => inspector.close());

function ownerOf(pid: number): Owner {
  return { ...OWNER, ...targetOf(pid) };
}

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-executable-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** A shell that says it is ready and waits. */
async function waiting(t: TestContext, command: string, ...argv: readonly string[]): Promise<ChildProcess> {
  const child = spawn(command, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  t.after(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  assert.equal(String((await once(child.stdout as NodeJS.ReadableStream, 'data'))[0]), 'ready\n');
  return child;
}

describe('executable', () => {
  it('there, deleted, replaced', async (t) => {
    const path = join(directoryOf(t), 'busybox-shell');
    copyFileSync('/bin/busybox', path);
    const { pid = 0 } = await waiting(t, path, 'sh', '-c', 'echo ready; read x');
    const owner = ownerOf(pid);
    const state = () => executableState(inspector, owner, path);
    assert.deepEqual(await state(), { deleted: false, replaced: false, added: undefined });
    rmSync(path);
    assert.deepEqual(await state(), { deleted: true, replaced: false, added: undefined });
    copyFileSync('/bin/true', path);
    assert.deepEqual(await state(), { deleted: true, replaced: true, added: undefined });
    assert.equal(
      await executableState(inspector, { ...owner, startTime: 1n }, path),
      undefined,
      'another process',
    );
  });

  it('of the image, or added to the container since', async (t) => {
    const directory = directoryOf(t);
    for (const name of ['lower/bin', 'upper', 'work', 'merged'])
      mkdirSync(join(directory, name), { recursive: true });
    copyFileSync('/bin/busybox', join(directory, 'lower/bin/busybox'));
    const options = ['lower', 'upper', 'work'].map((name) => `${name}dir=${directory}/${name}`).join(',');
    // The layers lie on a file system that overlayfs takes as an upper one.
    const container = (program: string) =>
      [
        'set -e',
        `mount -t overlay overlay -o ${options} ${directory}/merged`,
        `cp ${directory}/merged/bin/busybox ${directory}/merged/bin/busybox-dropped`,
        `exec chroot ${directory}/merged /bin/${program} sh -c 'echo ready; read x'`,
      ].join('\n');
    for (const [program, added] of [
      ['busybox', false],
      ['busybox-dropped', true],
    ] as const) {
      const { pid = 0 } = await waiting(t, 'unshare', '--mount', 'sh', '-c', container(program));
      const state = await executableState(inspector, ownerOf(pid), `/bin/${program}`);
      assert.deepEqual(state, { deleted: false, replaced: false, added });
      assert.equal(
        (await executableState(inspector, ownerOf(pid), '/bin/../../etc/passwd'))?.added,
        undefined,
      );
    }
  });
});

describe('a process that serves names', () => {
  const servesNames = (owner: Owner, ports: readonly number[]) =>
    new NameServing(socketReader(inspector), ports).of(owner);
  const own = ownerOf(process.pid);

  it('by UDP', async () => {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const { port } = socket.address();
    assert.equal(await servesNames(own, [port]), true);
    assert.equal(await servesNames(own, [port === 1 ? 2 : 1]), false);
    const { pid = 0 } = spawn('sleep', ['0.5']);
    assert.equal(await servesNames(ownerOf(pid), [port]), false, 'another process of the namespace');
    socket.close();
    await once(socket, 'close');
    assert.equal(await servesNames(own, [port]), false);
  });

  it('by TCP', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    assert.equal(await servesNames(own, [address.port]), true);
    server.close();
  });

  it('is not known of one that is gone', async () => {
    assert.equal(await servesNames({ ...own, pid: 0x3fffff }, [53]), undefined);
  });
});
