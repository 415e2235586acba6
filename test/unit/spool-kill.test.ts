/** A process that writes and delivers as fast as it can, ended by SIGKILL at any moment: what it said is done is true. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { it } from 'node:test';
import { drain, workplace } from './spool-requests.ts';

const ROUNDS = 12;
/** Pushes 0, 1, 2, ... and settles every second one it takes; says each after the call has returned, without a buffer. */
const SCRIPT = `
  import { writeSync } from 'node:fs';
  import { Spool } from '${join(import.meta.dirname, '../../src/sinks/delivery/spool.ts')}';
  import { numbered, serialOf } from '${join(import.meta.dirname, 'spool-requests.ts')}';
  const limits = { maxBytes: 1, maxRecords: 1 };
  const notices = { warn() {}, info() {} };
  const spool = new Spool({ directory: process.env.SPOOL, maxBytes: 1e9, memory: limits, notices });
  for (let serial = 0; ; serial++) {
    spool.push(numbered(serial, 1 + 4 * (1 + (serial * 7919) % 50_000)));
    writeSync(1, 'p' + serial + '\\n');
    if (serial % 2 === 0) continue;
    const request = spool.take();
    spool.done(request);
    writeSync(1, 'd' + serialOf(request) + '\\n');
  }`;

it(`SIGKILL at ${ROUNDS} moments: nothing said to be written is missing, nothing said to be done comes again`, async () => {
  let left = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const work = workplace();
    const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, SPOOL: work.directory },
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, 10 + round * 17));
    const gone = once(child, 'close');
    child.kill('SIGKILL');
    await gone;
    const lines = said.split('\n').slice(0, -1);
    const serials = (kind: string) =>
      lines.filter((line) => line.startsWith(kind)).map((line) => Number(line.slice(1)));
    const [pushed, done] = [serials('p'), serials('d')];
    const spool = work.open(1e9);
    const found = drain(spool);
    const expected = pushed.filter((serial) => !done.includes(serial));
    // The call under way when it died: a request written or settled whose line was never said.
    const [first] = expected;
    const settledUnsaid = first !== undefined && found[0] !== first ? [first] : [];
    const writtenUnsaid = found.filter((serial) => serial > (pushed.at(-1) ?? -1));
    assert.ok(writtenUnsaid.length <= 1);
    assert.deepEqual(
      found.filter((serial) => !writtenUnsaid.includes(serial)),
      expected.filter((serial) => !settledUnsaid.includes(serial)),
    );
    assert.ok(spool.damage.stretches <= 1, 'at most the frame it was writing');
    left += found.length;
    await spool.close();
    work.remove();
  }
  assert.ok(left > ROUNDS * 5, `${left} requests were there to lose`);
});
