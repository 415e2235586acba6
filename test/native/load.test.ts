import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import type { NativeCapture, NativeError, NativeOptions } from '../../src/capture/addon.ts';
import {
  addon,
  descriptors,
  loadedPrograms,
  nativeOptions,
  optionsText,
  ROOT,
  remaining,
  skip,
} from './harness.ts';

/** One that leaves something leaves it each time. */
const TIMES = process.env['WHODNS_KERNELS'] === 'full' ? 50 : 12;

async function open(change: Partial<NativeOptions> = {}): Promise<NativeCapture> {
  const opened = await addon.open(nativeOptions(change));
  if ('error' in opened) throw new Error(JSON.stringify(opened.error));
  assert.ok(!('error' in opened.capture.attach()));
  return opened.capture;
}

describe('load, attach, close', { skip }, () => {
  it(`${TIMES} times leaves no program and no descriptor`, async () => {
    (await open()).close(); // the first use opens descriptors that libbpf keeps
    const before = descriptors();
    const ids: number[] = [];
    for (let i = 0; i < TIMES; i++) {
      const capture = await open();
      const loaded = loadedPrograms();
      assert.ok(loaded.length > 0);
      ids.push(...loaded);
      capture.close();
      assert.deepEqual(loadedPrograms(), []);
    }
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(descriptors(), before);
    assert.deepEqual(await remaining(ids), []);
  });

  it('the same with the ring watched', async () => {
    const before = descriptors();
    const ids: number[] = [];
    for (let i = 0; i < 10; i++) {
      const capture = await open();
      assert.ok(!('error' in capture.watch(() => {})));
      ids.push(...loadedPrograms());
      capture.close();
    }
    assert.deepEqual(descriptors(), before);
    assert.deepEqual(await remaining(ids), []);
  });

  it('signals that arrive all the time do not keep the verifier from finishing', () => {
    // A profiler's SIGPROF: the verifier gives up with EAGAIN when a signal is pending (kernel/bpf/verifier.c, do_check), and
    // libbpf tries five times only.
    const script = `
      const addon = require(${JSON.stringify(join(ROOT, 'build/whodns.node'))});
      addon.open(${optionsText()}).then((opened) => {
        console.log('error' in opened ? opened.error.code : 'opened');
        process.exit();
      });`;
    const flags = [
      '--cpu-prof',
      '--cpu-prof-interval',
      '100',
      `--cpu-prof-dir=${tmpdir()}`,
      '--cpu-prof-name',
    ];
    const profile = join(tmpdir(), `whodns-load-${process.pid}.cpuprofile`);
    const done = spawnSync(process.execPath, [...flags, basename(profile), '-e', script], {
      encoding: 'utf8',
    });
    rmSync(profile, { force: true });
    assert.equal(done.stdout, 'opened\n', done.stderr);
  });

  it('close may be called again, and the other calls then say so', async () => {
    const capture = await open();
    capture.close();
    capture.close();
    capture.detach();
    assert.equal(capture.drain(new Uint8Array(4096), 4096), 0);
    assert.equal(capture.ringUsed(), 0);
    capture.wait(1, 1);
    for (const result of [
      capture.sums('counters'),
      capture.entries('processes'),
      capture.update('processes', new Uint8Array(16), new Uint8Array(48)),
      capture.remove('processes', new Uint8Array(16)),
      capture.recursionMisses(),
    ]) {
      assert.ok('error' in result && (result.error as NativeError).code === 'EBADF');
    }
    const started = capture.watch(() => {});
    assert.ok('error' in started);
  });

  it('a capture that is forgotten is collected', { timeout: 60_000 }, async () => {
    // a child, since it takes --expose-gc
    const program = `
      const { createRequire } = await import('node:module');
      const { setImmediate: turn } = await import('node:timers/promises');
      const addon = createRequire('${ROOT}/')('${ROOT}/build/whodns.node');
      const { readdirSync, readlinkSync } = await import('node:fs');
      const bpf = () => readdirSync('/proc/self/fd').filter((fd) => {
        try { return readlinkSync('/proc/self/fd/' + fd).startsWith('anon_inode:bpf'); } catch { return false; }
      }).length;
      for (let i = 0; i < 3; i++) if ((await addon.open(${optionsText()})).error) throw new Error('open');
      const most = bpf();
      for (let i = 0; i < 20 && bpf() > 0; i++) { gc(); await turn(); }
      console.log(most > 0, bpf());`;
    const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [output] = await Promise.all([child.stdout.setEncoding('utf8').toArray(), once(child, 'exit')]);
    assert.equal(output.join(''), 'true 0\n');
  });
});

describe('a process that ends without closing', { skip }, () => {
  const program = `
    const { createRequire } = await import('node:module');
    const addon = createRequire('${ROOT}/')('${ROOT}/build/whodns.node');
    const opened = await addon.open(${optionsText()});
    if (opened.error) throw new Error(JSON.stringify(opened.error));
    opened.capture.attach();
    opened.capture.watch(() => {});
    setInterval(() => {}, 1000); // watching alone keeps nothing alive
    console.log('running');`;

  async function run(how: string) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', `${program}\n${how}`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    const ids = loadedPrograms(child.pid as never);
    assert.ok(ids.length > 0);
    return { child, ids, ended };
  }

  it('by SIGKILL leaves nothing', async () => {
    const { child, ids, ended } = await run('');
    child.kill('SIGKILL');
    await ended;
    assert.deepEqual(await remaining(ids), []);
  });

  it('by process.exit leaves nothing and does not crash', async () => {
    const { child, ids, ended } = await run(`process.stdin.once('data', () => process.exit(7));`);
    child.stdin.write('\n');
    assert.deepEqual(await ended, [7, null]);
    assert.deepEqual(await remaining(ids), []);
  });

  it('by an exception leaves nothing', async () => {
    const { child, ids, ended } = await run(
      `process.stdin.once('data', () => { process.on('uncaughtException', () => process.exit(8)); throw new Error(); });`,
    );
    child.stdin.write('\n');
    assert.deepEqual(await ended, [8, null]);
    assert.deepEqual(await remaining(ids), []);
  });

  it('as a worker thread leaves nothing', { timeout: 60_000 }, async () => {
    const { Worker } = await import('node:worker_threads');
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), {
      stdout: true,
    });
    await once(worker.stdout, 'data');
    const ids = loadedPrograms();
    assert.ok(ids.length > 0);
    await worker.terminate();
    assert.deepEqual(loadedPrograms(), []);
    assert.deepEqual(await remaining(ids), []);
  });
});
