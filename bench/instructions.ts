/**
 * How many instructions does a send cost more when we watch? Counted, not timed: qemu's -icount shift=0 makes the
 * time-stamp counter advance by one per instruction, so two runs differ by a few of several thousand, on any machine.
 * bench/instructions.json holds the committed figures; more than 5 % above them (of the figure, or the floor, whichever is
 * more) fails.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kernelList } from '../test/kernel/kernels.ts';
import { runInVm } from '../test/kernel/vm.ts';
import type { Question, RunOptions } from './question.ts';
import { spread } from './statistics.ts';

const COMMITTED = join(import.meta.dirname, 'instructions.json');
const FAMILIES = ['fentry', 'kprobe', 'tracepoint'] as const;
const CALLS = ['send', 'sendto'] as const;
const DNS_PORT = 53;
const OTHER_PORT = 5300;
const COUNT = 400;
const ROUNDS = 5;
const BOOT_LIMIT_S = 400;
/** Cache and branch layout do not count here, but the kernel's own state does: baselines before and after differ by some 50. */
const FLOOR = 60;
const TOLERANCE = 0.05;
/** The issue's bound for traffic that is not DNS. */
const MAX_OTHER_FENTRY = 300;
/** What was asked of one family on one kernel. */
const ASKED = { kernel: '6.12', family: 'fentry', dns: 1200, other: 200 } as const;

export interface Cost {
  /** Instructions over the same call unwatched, medians; the dearer of send and sendto. */
  readonly dns: number;
  readonly other: number;
}

interface Row {
  readonly kernel: string;
  readonly release: string;
  /** Instructions of a send and a sendto that nobody watches. */
  readonly baseline: { readonly send: number; readonly sendto: number };
  /** null: the family does not load on this kernel. */
  readonly families: Readonly<Record<string, Cost | null>>;
}

export interface InstructionsResult {
  readonly rows: readonly Row[];
}

export type Committed = Readonly<Record<string, Readonly<Record<string, Cost | null>>>>;

/** Everything that is dearer than the committed figure allows, one line each. */
export function regressions(rows: readonly Row[], committed: Committed): string[] {
  const found: string[] = [];
  for (const { kernel, families } of rows) {
    for (const [family, cost] of Object.entries(families)) {
      const before = committed[kernel]?.[family];
      if (before === undefined) found.push(`${kernel} ${family}: no committed figure`);
      if (cost === null) {
        if (before !== null) found.push(`${kernel} ${family}: does not load any more`);
        continue;
      }
      for (const kind of ['dns', 'other'] as const) {
        if (before === undefined || before === null) continue;
        const max = Math.floor(before[kind] + Math.max(before[kind] * TOLERANCE, FLOOR));
        if (cost[kind] > max) {
          found.push(
            `${kernel} ${family} ${kind}: +${cost[kind]}, committed +${before[kind]}, at most +${max}`,
          );
        }
      }
      if (family === 'fentry' && cost.other >= MAX_OTHER_FENTRY) {
        found.push(`${kernel} fentry other: +${cost.other}, asked is under +${MAX_OTHER_FENTRY}`);
      }
    }
  }
  return found;
}

const JOB = `
cd /whodns/build/bench
measure() {
  for call in ${CALLS.join(' ')}; do
    for port in ${DNS_PORT} ${OTHER_PORT}; do
      echo "result $1 $call $port $(./calls $call $port ${COUNT} ${ROUNDS})"
    done
  done
}
measure none
for family in ${FAMILIES.join(' ')}; do
  ./consumer /whodns/build/dns.bpf.o $family idle >/tmp/said 2>&1 &
  consumer=$!
  for i in $(seq 120); do
    grep -q ready /tmp/said && break
    kill -0 $consumer 2>/dev/null || break
    sleep 1
  done
  grep -q ready /tmp/said || { echo "failed $family: $(tail -c 300 /tmp/said | tr '\\n' ' ')"; continue; }
  measure $family
  kill $consumer
  wait $consumer
done
measure none
uname -r | sed 's/^/release /'
`;

async function measureKernel(kernel: string, say: RunOptions['say']): Promise<Row> {
  const done = await runInVm({
    kernel,
    job: JOB,
    timeoutS: BOOT_LIMIT_S,
    processors: 1,
    qemu: ['-icount', 'shift=0,sleep=off'],
  });
  if (done.exitCode !== 0) throw new Error(`kernel ${kernel}: ${done.output.slice(-2000)}`);
  for (const line of done.output.match(/^failed .*$/gm) ?? []) say(`kernel ${kernel}: ${line}`);
  const ticks = new Map<string, number[]>();
  for (const line of done.output.matchAll(/^result (\w+) (\w+) (\d+) (\{.*\})$/gm)) {
    const key = `${line[1]} ${line[2]} ${line[3]}`;
    const { ticks: found } = JSON.parse(line[4] ?? '') as { ticks: number[] };
    ticks.set(key, [...(ticks.get(key) ?? []), ...found]);
  }
  const median = (family: string, call: string, port: number): number => {
    const found = ticks.get(`${family} ${call} ${port}`);
    if (found === undefined)
      throw new Error(`kernel ${kernel}: no ${family} ${call} ${port} in:\n${done.output.slice(-2000)}`);
    return Math.round(spread(found).median);
  };
  const over = (family: string, port: number): number =>
    Math.max(...CALLS.map((call) => median(family, call, port) - median('none', call, port)));
  return {
    kernel,
    release: /^release (.*)$/m.exec(done.output)?.[1] ?? '',
    baseline: { send: median('none', 'send', OTHER_PORT), sendto: median('none', 'sendto', OTHER_PORT) },
    families: Object.fromEntries(
      FAMILIES.map((family) => [
        family,
        done.output.includes(`failed ${family}:`)
          ? null
          : { dns: over(family, DNS_PORT), other: over(family, OTHER_PORT) },
      ]),
    ),
  };
}

function missed(rows: readonly Row[]): string[] {
  const { kernel, family } = ASKED;
  const cost = rows.find((row) => row.kernel === kernel)?.families[family];
  if (cost === undefined || cost === null) return [];
  return (['dns', 'other'] as const)
    .filter((kind) => cost[kind] > ASKED[kind])
    .map((kind) => `${kernel} ${family} ${kind}: +${cost[kind]}, asked at most +${ASKED[kind]}`);
}

export const instructions: Question<InstructionsResult> = {
  name: 'instructions',
  title: 'Kernel instructions per send',
  async measure(options: RunOptions) {
    const rows: Row[] = [];
    for (const { name } of kernelList()) {
      options.say(`kernel ${name}`);
      rows.push(await measureKernel(name, options.say));
    }
    if (options.commit) {
      const figures = Object.fromEntries(rows.map(({ kernel, families }) => [kernel, families]));
      writeFileSync(COMMITTED, `${JSON.stringify(figures, undefined, 2)}\n`);
    }
    return { rows };
  },
  failures: ({ rows }) => [
    ...regressions(rows, JSON.parse(readFileSync(COMMITTED, 'utf8')) as Committed),
    ...missed(rows),
  ],
  page: ({ rows }) => [
    'Instructions that one UDP send on loopback takes more while the family is attached, the dearer of `send` on a connected',
    'and `sendto` on an unconnected socket. Counted in qemu (`-accel tcg -icount shift=0,sleep=off`, one processor), so they are',
    'the same on every machine: two runs differ by a few. The gate: at most 5 % (at least 60) over `bench/instructions.json`;',
    'asked: other UDP traffic under +300 with `fentry`.',
    '',
    `| kernel | send / sendto unwatched | ${FAMILIES.map((family) => `${family}: DNS / other`).join(' | ')} |`,
    `|---|---|${FAMILIES.map(() => '---').join('|')}|`,
    ...rows.map(({ release, baseline, families }) => {
      const cells = FAMILIES.map((family) => {
        const cost = families[family];
        return cost ? `+${cost.dns} / +${cost.other}` : 'does not load';
      });
      return `| ${release} | ${baseline.send} / ${baseline.sendto} | ${cells.join(' | ')} |`;
    }),
  ],
};
