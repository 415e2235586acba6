/**
 * Executables that should not be: deleted or memory-only ones hide from who looks at the disk; what lies where everyone can write
 * was not installed; what came into a container after its start is not of its image. A deleted file whose path
 * another file has was upgraded and is not reported.
 */
import type { DetectorEvent, ExecutableFacts, Finding, HostFacts, Outcome, PerProcess } from '../detector.ts';
import { rule } from '../rule.ts';

/** memfd_create(2): `/memfd:NAME`. */
const MEMORY_FILE = /^\/?memfd:/;

interface Looked {
  process: DetectorEvent['process'] | undefined;
  events: number;
}

interface State {
  readonly looked: PerProcess<Looked>;
  readonly paths: readonly string[];
  readonly allow: readonly string[];
  readonly only: readonly string[];
}

export default rule('unknown-binary', {
  init: (context, settings): State => ({
    looked: context.perProcess(() => ({ process: undefined, events: 0 })),
    paths: settings.paths,
    allow: settings.allow,
    only: settings.only,
  }),
  onEvent(event, { state, host }) {
    if (event.kind !== 'lookup') return undefined;
    const looked = state.looked.of(event);
    // Another identity: another program in the same process (execve), or more is known of it.
    if (looked.process !== event.process) {
      looked.process = event.process;
      looked.events = 0;
    }
    looked.events++;
    // A file can be deleted at any time: looked at again after 4, 16, 64 ... lookups.
    if (!isPowerOfFour(looked.events)) return undefined;
    return judge(event, state, host, looked.events > 1);
  },
});

function judge(event: DetectorEvent, state: State, host: HostFacts, isAgain: boolean): Outcome {
  const { resource, containerId } = event.process;
  const path = resource['process.executable.path'];
  // Kernel threads have none; what is not known is not judged.
  if (typeof path !== 'string' || isWithin(path, state.allow)) return undefined;
  if (MEMORY_FILE.test(path)) return finding(event, path, 'memory-file');
  const isDeleted = resource['whodns.process.executable.deleted'] === true;
  if (!isDeleted && isWithin(path, state.paths)) return finding(event, path, 'writable-path');
  // Files are looked at only where they can say more than the kernel did.
  const isLookedAt = isDeleted || isAgain || containerId !== undefined;
  if (!isLookedAt) return judgeFile(event, path, state, undefined);
  return host.executable(event, (facts) => judgeFile(event, path, state, facts));
}

function judgeFile(
  event: DetectorEvent,
  path: string,
  { paths, only }: State,
  facts: ExecutableFacts | undefined,
): Finding | undefined {
  const isDeleted = event.process.resource['whodns.process.executable.deleted'] === true;
  if (isDeleted || facts?.deleted === true)
    return facts?.replaced === true && !isWithin(path, paths) ? undefined : finding(event, path, 'deleted');
  if (facts?.added === true) return finding(event, path, 'not-in-image');
  return only.length > 0 && !isWithin(path, only) ? finding(event, path, 'not-listed') : undefined;
}

const MESSAGES = {
  'memory-file': 'a lookup by an executable that is in memory only',
  deleted: 'a lookup by an executable that was deleted',
  'writable-path': 'a lookup by an executable under a path that everyone can write to',
  'not-in-image': "a lookup by an executable that was added after the container's start",
  'not-listed': 'a lookup by an executable that is not on the list',
} as const;

function finding(event: DetectorEvent, path: string, kind: keyof typeof MESSAGES): Finding {
  const name = event.kind === 'lookup' ? event.name : '';
  return {
    subject: path,
    kind,
    message: `${MESSAGES[kind]}: ${path} asked for ${name}`,
    evidence: { 'dns.question.name': name, 'whodns.finding.executable.path': path },
  };
}

/** The path itself, or a directory it is in. */
function isWithin(path: string, list: readonly string[]): boolean {
  return list.some((each) => path === each || path.startsWith(each.endsWith('/') ? each : `${each}/`));
}

function isPowerOfFour(value: number): boolean {
  return (value & (value - 1)) === 0 && (value & 0x5555_5555) !== 0;
}
