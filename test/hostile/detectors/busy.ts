/**
 * A quick detector on a busy processor: prints how many of its calls took long by the wall, and which detectors were switched off.
 *   taskset -c N node busy.ts BURNING
 * It burns the processor itself, once it is ready, and until enough calls were late: so the host's speed and number of processors
 * decide how long that takes, never whether it happens.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { sceneWith } from '../../unit/detect-events.ts';

const CALL_MS = 0.15;
const WALL_MS = 25;
/** More than the overruns for which a detector is switched off. */
const LATE_CALLS = 5;
const LIMIT_MS = 60_000;

let calls = 0;
let late = 0;
const scene = sceneWith([
  {
    name: 'quick',
    severity: 'info',
    describe: 'For a test.',
    onEvent() {
      calls++;
      const start = performance.now();
      const before = process.threadCpuUsage();
      // By loops, not by the clock: a clock would count the time of others.
      let sum = 0;
      for (let i = 0; i < perCall; i++) sum += i % 7;
      const { user, system } = process.threadCpuUsage(before);
      if (performance.now() - start > WALL_MS && user + system < WALL_MS * 1000) late++;
      return sum < 0 ? { subject: '', message: '' } : undefined;
    },
  },
]);
const perCall = loopsIn(CALL_MS);
const burners = Array.from({ length: Number(process.argv[2]) }, burn);
const begun = performance.now();
while (late < LATE_CALLS && performance.now() < begun + LIMIT_MS) scene.ask(calls / 1000, {});
for (const burner of burners) burner.kill('SIGKILL');
console.log(JSON.stringify({ calls, late, off: scene.messages }));

/** In this session and on this processor, so that the scheduler shares it out among all alike. */
function burn(): ChildProcess {
  return spawn(
    'sh',
    ['-c', 'while kill -0 "$PPID"; do i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; done'],
    {
      stdio: 'ignore',
    },
  );
}

/** By processor time. */
function loopsIn(ms: number): number {
  const before = process.threadCpuUsage();
  let sum = 0;
  const loops = 20_000_000;
  for (let i = 0; i < loops; i++) sum += i % 7;
  const { user, system } = process.threadCpuUsage(before);
  return sum < 0 ? 0 : Math.round((loops * ms * 1000) / (user + system));
}
