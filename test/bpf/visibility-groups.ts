/** Control groups with levels, what processes in them sent (visibility.py), and what the kernel programs may say of each. */
import { type Captured, COUNTER, type Message } from './capture.ts';

/** bpf/event.h, enum visibility_level. */
export const LEVEL = { off: 1, metrics: 2, on: 3 } as const;
export type LevelName = keyof typeof LEVEL;

export interface Group {
  /** Below the test's own group; '' is that group itself. */
  readonly path: string;
  /** What is said there; undefined: nothing. */
  readonly said?: LevelName;
  /** What holds there. */
  readonly holds: LevelName;
}

/** The nearest group that says something wins, however deep a process is below it. */
export const GROUPS: readonly Group[] = [
  { path: '', said: 'on', holds: 'on' },
  { path: 'off', said: 'off', holds: 'off' },
  { path: 'off/nested/deep', holds: 'off' },
  { path: 'off/nested/back', said: 'on', holds: 'on' },
  { path: 'off/nested/back/below', holds: 'on' },
  { path: 'metrics', said: 'metrics', holds: 'metrics' },
  { path: 'metrics/nested', holds: 'metrics' },
  { path: 'on', holds: 'on' },
];

export interface Sent {
  readonly group: string;
  readonly pid: number;
  readonly udp: number;
  readonly bytes: number;
}

export function parseSent(output: string): Sent[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Sent);
}

/** What does not agree with the levels, one line each. */
export function faultsOf(captured: Captured, sent: readonly Sent[], root: string): string[] {
  const faults: string[] = [];
  for (const { path, holds } of GROUPS) {
    const child = sent.find(({ group }) => group === (path === '' ? root : `${root}/${path}`));
    if (child === undefined) {
      faults.push(`${path}: sent nothing`);
      continue;
    }
    const found = `${JSON.stringify(observe(captured, child))}`;
    const wanted = JSON.stringify(expected(holds, child));
    if (found !== wanted) faults.push(`${path} (${holds}): ${found}, wanted ${wanted}`);
  }
  // One TCP piece and one end of stream besides the datagrams.
  const requests = (level: LevelName): number =>
    sent.filter((_, index) => GROUPS[index]?.holds === level).reduce((sum, child) => sum + child.udp + 2, 0);
  for (const [name, index] of [
    ['off', COUNTER.off],
    ['metrics', COUNTER.metricsOnly],
  ] as const)
    if (captured.counters[index] !== requests(name))
      faults.push(`counter ${name}: ${captured.counters[index]}, wanted ${requests(name)}`);
  return faults;
}

function observe(captured: Captured, { pid, group }: Sent): object {
  // By the name it asks for, which no other group does: ports are used again.
  const label = group.slice(group.lastIndexOf('/') + 1);
  const asked = Buffer.from(`${String.fromCharCode(label.length)}${label}\x04test`, 'latin1').toString('hex');
  const isOurs = (message: Message): boolean => message.owner.tgid === pid || message.payload.includes(asked);
  const own = captured.messages.filter((message) => isOurs(message) && message.length > 0);
  const counted = captured.counted.find(({ tgid }) => tgid === pid);
  const of = (direction: string, protocol: number): number =>
    own.filter((message) => message.direction === direction && message.protocol === protocol).length;
  return {
    requests: of('request', 17),
    responses: of('response', 17),
    stream: of('request', 6) > 0 && of('response', 6) > 0,
    anyEvent: captured.messages.some(isOurs),
    announced: captured.processes.filter((process) => process.owner.tgid === pid).length,
    udp: counted?.udp,
    bytes: counted?.bytes,
  };
}

function expected(level: LevelName, { udp, bytes }: Sent): object {
  const on = level === 'on';
  return {
    requests: on ? udp : 0,
    responses: on ? udp : 0,
    stream: on,
    anyEvent: on,
    announced: level === 'off' ? 0 : 1,
    ...(level === 'off' ? {} : { udp, bytes }),
  };
}
