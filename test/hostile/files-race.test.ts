/** A race for the path of a file that is full: whoever puts a link there in time must not get root's file. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LinesFile } from '../../src/sinks/otlp/lines-file.ts';
import { end } from '../matrix/children.ts';
import { directoryAt, fileAt, SECRET, STRANGER, skip, temporary } from './places.ts';
import { reportAttack } from './report.ts';

/** Puts a link to the secret at each path as often as it can. */
function startRacer(secret: string, paths: readonly string[]): ChildProcess {
  const script = `import os,sys
secret, paths = sys.argv[1], sys.argv[2:]
print('ready', flush=True)
while True:
    for path in paths:
        try: os.symlink(secret, path)
        except OSError: pass`;
  const argv = [
    `--reuid=${STRANGER}`,
    `--regid=${STRANGER}`,
    '--clear-groups',
    '/usr/bin/python3',
    '-c',
    script,
  ];
  return spawn('setpriv', [...argv, secret, ...paths], { stdio: ['ignore', 'pipe', 'inherit'] });
}

for (const [kind, owned] of [
  ['a shared directory', { mode: 0o1777 }],
  ['a directory given to another user while the agent runs', { uid: STRANGER }],
] as const) {
  test(`a race for the path of a full file: ${kind}`, skip, async (t) => {
    const base = temporary(t);
    const secret = fileAt(join(base, 'secret'), SECRET, { mode: 0o600 });
    const directory = directoryAt(join(base, 'logs'));
    const path = join(directory, 'w');
    const file = LinesFile.open(path, { maxBytes: 100, backups: 1 }).use();
    directoryAt(directory, owned);
    const racer = startRacer(secret, [path]);
    t.after(() => end(racer, 'SIGKILL'));
    await once(racer.stdout as NodeJS.ReadableStream, 'data');
    const line = Buffer.from(`${'x'.repeat(98)}\n`);
    const begun = performance.now();
    const outcome = { written: 0, refused: 0 };
    // In a shared directory it rotates now and then beside the racer: how often depends on the machine.
    const isOver = () => {
      const seconds = (performance.now() - begun) / 1000;
      return seconds > 60 || (seconds > 4 && (owned.mode === undefined || outcome.written > 20));
    };
    while (!isOver()) {
      await file.append(line).then(
        () => outcome.written++,
        () => outcome.refused++,
      );
      if (outcome.refused > 0 && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true)
        rmSync(path); // the next round
    }
    await file.release();
    assert.equal(
      readFileSync(secret, 'utf8'),
      SECRET,
      `the secret was written to: ${JSON.stringify(outcome)}`,
    );
    const { uid, mode } = statSync(secret);
    assert.deepEqual([uid, mode & 0o777], [0, 0o600], 'the secret is root’s, of its old mode');
    if (owned.mode === undefined) assert.ok(outcome.written <= 1, JSON.stringify(outcome));
    else assert.ok(outcome.written > 20, `it rotates beside the racer: ${JSON.stringify(outcome)}`);
    t.diagnostic(`${kind}: ${JSON.stringify(outcome)}`);
    reportAttack({
      attack: `a race for the path of a full otlp-file, in ${kind}`,
      stranger: 'user',
      holds: "root's file behind his link keeps its content, owner and mode",
      figure: `${outcome.written} lines written, ${outcome.refused} refused, none through the link`,
    });
  });
}
