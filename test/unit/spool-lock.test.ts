/** One agent to a spool: a living one keeps it, a dead one does not, however it died. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { UserError } from '../../src/lib/errors.ts';
import { drain, numbered, type Workplace, workplace } from './spool-requests.ts';

let work: Workplace;
beforeEach(() => {
  work = workplace();
});
afterEach(() => work.remove());

/** Another process that opens the spool, pushes request 1 and waits. */
async function holder(wrapper: readonly string[] = []): Promise<ChildProcess> {
  const script = `
    import { Spool } from '${join(import.meta.dirname, '../../src/sinks/delivery/spool.ts')}';
    const memory = { maxBytes: 1e6, maxRecords: 1e6 };
    const notices = { warn() {}, info() {} };
    const spool = new Spool({ directory: process.env.SPOOL, maxBytes: 1e7, memory, notices });
    spool.push({ bytes: Buffer.from([1, 0, 0, 0]), records: 1, resourceCount: 1 });
    console.log('open');
    setInterval(() => {}, 1000);`;
  const command = [...wrapper, process.execPath, '--input-type=module', '-e', script];
  const child = spawn(command[0] as string, command.slice(1), {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, SPOOL: work.directory },
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const [said] = await Promise.race([
    once(child.stdout as NodeJS.ReadableStream, 'data'),
    once(child, 'close'),
  ]);
  assert.equal(String(said), 'open\n');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'close');
  child.kill('SIGKILL');
  await gone;
}

describe('lock of the spool', () => {
  it('a second one in the same process is refused, and the first keeps its lock', async () => {
    const first = work.open();
    assert.throws(
      () => work.open(),
      (error) => error instanceof UserError && /in use/.test(error.message),
    );
    assert.throws(() => work.open(), UserError);
    first.push(numbered(1));
    await first.close();
    const second = work.open();
    assert.deepEqual(drain(second), [1]);
    await second.close();
  });

  it('another living process is named; after its SIGKILL the spool is taken over at once', async () => {
    const child = await holder();
    assert.throws(
      () => work.open(),
      (error) => error instanceof UserError && error.message.includes(`process ${child.pid}`),
    );
    await kill(child);
    const spool = work.open();
    assert.deepEqual(drain(spool), [1]);
    assert.deepEqual(
      readdirSync(work.directory).filter((name) => name.startsWith('lock')),
      ['lock'],
    );
    await spool.close();
    assert.ok(!existsSync(join(work.directory, 'lock')));
  });

  const root = process.getuid?.() === 0 ? false : 'PID namespaces need root';
  it('a holder in another PID namespace counts as living while it touches the file', {
    skip: root,
  }, async () => {
    const child = await holder(['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']);
    assert.throws(() => work.open(), UserError);
    const lock = join(work.directory, 'lock');
    assert.match(readFileSync(lock, 'latin1'), / 1 \d+$/, 'it is process 1 of its namespace');
    await kill(child);
    assert.throws(() => work.open(), UserError);
    utimesSync(lock, new Date(0), new Date(Date.now() - 31_000));
    assert.deepEqual(drain(work.open()), [1]);
  });

  for (const [what, content] of [
    ['empty', ''],
    ['garbage', '\0\xff garbage'],
    ['an earlier boot', '00000000-0000-0000-0000-000000000000 pid:[4026531836] 1 2'],
    ['a reused process id', undefined],
  ] as const) {
    it(`a stale lock is taken over: ${what}`, async () => {
      const before = work.open();
      const path = join(work.directory, 'lock');
      const own = readFileSync(path, 'latin1');
      await before.close();
      writeFileSync(path, content ?? own.replace(/\d+$/, '1'), 'latin1');
      const spool = work.open();
      assert.equal(readFileSync(path, 'latin1'), own);
      await spool.close();
    });
  }

  it('of many that start over a dead lock, one gets it', async () => {
    await kill(await holder());
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const script = `
          import { Spool } from '${join(import.meta.dirname, '../../src/sinks/delivery/spool.ts')}';
          const memory = { maxBytes: 1e6, maxRecords: 1e6 };
          try {
            new Spool({ directory: process.env.SPOOL, maxBytes: 1e7, memory, notices: { warn() {}, info() {} } });
            console.log('got it');
            setTimeout(() => process.exit(), 4000);
          } catch (error) { console.log(error.name); }`;
        const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
          stdio: ['ignore', 'pipe', 'inherit'],
          env: { ...process.env, SPOOL: work.directory },
        });
        let output = '';
        child.stdout.on('data', (text: Buffer) => {
          output += text.toString();
        });
        await once(child, 'close');
        return output.trim();
      }),
    );
    assert.deepEqual(outcomes.sort(), [...Array(5).fill('UserError'), 'got it']);
  });
});
