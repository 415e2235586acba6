/** Errors that nobody catches: whose they are. Each kind in a process of its own, for they go to the process's own handler. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';

const ORIGIN = join(import.meta.dirname, '../../src/detect/origin.ts');

/** Says of each stray error whether it was a detector's. @param start runs after 10 ms, in a detector or not */
function blamed(start: string, inDetector: boolean): string {
  const script = `
    import { blameDetector, Origin } from ${JSON.stringify(ORIGIN)};
    const origin = new Origin('file:///detectors/mine.mjs');
    origin.listen((reason) => {
      console.log('blamed:', reason);
      setTimeout(() => { throw new Error('in answer to it') });
    });
    const onStray = (error) => { if (!blameDetector(error)) console.log('ours:', String(error)); };
    process.on('uncaughtException', onStray);
    process.on('unhandledRejection', onStray);
    const start = () => { ${start} };
    setTimeout(() => { ${inDetector ? 'origin.run(start)' : 'start()'} }, 10);
  `;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  return stdout;
}

const KINDS: Readonly<Record<string, string>> = {
  'a timer': `setTimeout(() => { throw new Error('late') })`,
  'a promise': `Promise.reject(new Error('late'))`,
  'what is no error': `Promise.reject('late')`,
  'an immediate': `setImmediate(() => { throw new Error('late') })`,
  'a text that throws': `setTimeout(() => { throw { toString() { throw 1 } } })`,
};

for (const [what, start] of Object.entries(KINDS))
  it(`${what} of a detector is the detector's; what the agent does in answer is its own`, () => {
    assert.match(
      blamed(start, true),
      /^blamed: outside of its calls it threw: .*\nours: Error: in answer to it\n$/,
    );
  });

it('an error of the agent is its own', () => {
  assert.equal(blamed(`setTimeout(() => { throw new Error('late') })`, false), 'ours: Error: late\n');
});

it('where the context got lost the stack still names the file', () => {
  const start = `const e = new Error('late'); e.stack += '\\n at x (file:///detectors/mine.mjs:1:2)'; throw e`;
  assert.match(blamed(start, false), /^blamed: outside of its calls it threw: late/);
});
