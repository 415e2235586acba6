/** A quick detector on a busy processor: prints how many of its calls took long by the wall, and which detectors were switched off. */
import { sceneWith } from '../../unit/detect-events.ts';

const CALL_MS = 0.15;
const WALL_MS = 25;
const RUN_MS = 6000;

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
const end = performance.now() + RUN_MS;
while (performance.now() < end) scene.ask(calls / 1000, {});
console.log(JSON.stringify({ calls, late, off: scene.messages }));

/** By processor time. */
function loopsIn(ms: number): number {
  const before = process.threadCpuUsage();
  let sum = 0;
  const loops = 20_000_000;
  for (let i = 0; i < loops; i++) sum += i % 7;
  const { user, system } = process.threadCpuUsage(before);
  return sum < 0 ? 0 : Math.round((loops * ms * 1000) / (user + system));
}
