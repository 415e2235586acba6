/**
 * A program that captures: says what became of it and of itself, as JSON, and must end by itself. `node api-program.ts KIND ZONE`; it reads
 * a line of standard input when it shall go on.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CaptureError, capture, type LookupEvent } from 'whodns';

const [kind = '', zone = ''] = process.argv.slice(2);
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();

/** What a library must not change, and must not leave behind. */
function state() {
  const status = readFileSync('/proc/self/status', 'latin1');
  const links = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
  return {
    rights: status.match(/^(?:Cap\w+|NoNewPrivs|Seccomp):.*$/gm),
    bpf: links.filter((link) => link.includes('bpf')).length,
    children: readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').trim(),
    listeners: process.eventNames().map((name) => `${String(name)} ${process.listenerCount(name)}`),
    exit: process.exit.toString().length,
  };
}

function say(what: object): void {
  console.log(JSON.stringify(what));
}

const isOurs = ({ question }: LookupEvent) => question?.name.endsWith(zone) === true;

const PROGRAMS: Readonly<Record<string, () => Promise<void>>> = {
  /** One loop that is left after the first lookup. */
  async first() {
    const before = state();
    const lookups = capture();
    await lookups.ready;
    const during = state();
    say({ ready: true });
    for await (const event of lookups)
      if (isOurs(event)) {
        say({ event });
        break;
      }
    say({ before, during, after: state() });
  },

  /** A reader that sleeps, with little room. */
  async slow() {
    await using lookups = capture({ queueSize: 16, filter: `domain=${zone}` });
    await lookups.ready;
    say({ ready: true });
    await lines.next();
    // The last answer may be on its way.
    await sleep(1500);
    const { given, waiting, dropped, losses } = lookups.stats();
    let read = 0;
    for (; read < waiting; read++) await lookups.next();
    say({ given, waiting, dropped, losses, read, now: lookups.stats() });
  },

  /** Two at a time, each with its own filter. */
  async two() {
    const all = capture({ filter: `domain=${zone}` });
    const failed = capture({ filter: `domain=${zone} and rcode=NXDOMAIN` });
    await Promise.all([all.ready, failed.ready]);
    say({ ready: true });
    await lines.next();
    await sleep(1000);
    const names = async (lookups: typeof all) => {
      const found: string[] = [];
      for (let left = lookups.stats().waiting; left > 0; left--)
        found.push((await lookups.next()).value?.question?.name ?? '');
      return found.sort();
    };
    const seen = { all: await names(all), failed: await names(failed) };
    await failed.return();
    say({ ...seen, stillOpen: state().bpf > 0 });
    await all.return();
  },

  /** What cannot be. */
  async refused() {
    const lookups = capture();
    const error = await lookups.next().catch((reason: unknown) => reason);
    await lookups.closed;
    say({
      typed: error instanceof CaptureError,
      ...(error instanceof CaptureError
        ? { code: error.code, message: error.message, hint: error.hint }
        : { error: String(error) }),
      after: state(),
    });
  },

  /** For a time only. */
  async duration() {
    const lookups = capture({ durationMs: 1500, filter: `domain=${zone}` });
    await lookups.ready;
    say({ ready: true });
    let count = 0;
    for await (const _ of lookups) count++;
    say({ count });
  },
};

await PROGRAMS[kind]?.();
input.close();
process.stdin.destroy();
