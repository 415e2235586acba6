/** Facts of processes for detectors, looked up when a detector asks and remembered for a while. */
import { type ExecutableState, executableState } from '../enrich/executable.ts';
import { servesNames } from '../enrich/listening.ts';
import type { ResolverConfigs } from '../enrich/resolver-config.ts';
import type { Inspector } from '../inspector/inspector.ts';
import { BoundedMap } from '../lib/bounded-map.ts';
import type { Owner } from '../model.ts';
import type { DetectorEvent, ExecutableFacts, HostFacts } from './detector.ts';

const MOST_REMEMBERED = 4096;
/** A socket may be bound later: looked at again after this. */
const FRESH_MS = 60_000;
/** Processes whose sockets are looked at a second: socket tables of busy hosts are long. */
const MOST_LOOKS = 20;

export interface HostFactsOptions {
  readonly resolvers: ResolverConfigs;
  readonly inspector: Inspector | undefined;
  readonly ports: readonly number[];
}

interface Answer<T> {
  readonly startTime: bigint;
  readonly at: number;
  value: T | undefined;
}

export function hostFacts({ resolvers, inspector, ports }: HostFactsOptions): HostFacts {
  const budget = perSecond(MOST_LOOKS);
  const serving = new BoundedMap<number, Answer<boolean>>(MOST_REMEMBERED);
  const states = new BoundedMap<number, Answer<ExecutableState>>(MOST_REMEMBERED);
  /** What is known; asked for when it is not known or old. */
  function known<T>(
    answers: BoundedMap<number, Answer<T>>,
    owner: Owner,
    at: number,
    ask: (inspector: Inspector) => Promise<T | undefined>,
  ): T | undefined {
    const before = answers.get(owner.pid);
    const isSame = before?.startTime === owner.startTime;
    if ((isSame && at - before.at < FRESH_MS) || inspector === undefined || !budget(at))
      return isSame ? before.value : undefined;
    const answer: Answer<T> = { startTime: owner.startTime, at, value: isSame ? before.value : undefined };
    answers.set(owner.pid, answer);
    void ask(inspector).then((value) => {
      answer.value = value;
    });
    return answer.value;
  }
  return {
    nameServers: (event) => {
      const owner = ownerOf(event);
      return owner === undefined ? undefined : currentServers(resolvers, owner, event);
    },
    servesNames: (event) => {
      const owner = ownerOf(event);
      if (owner === undefined) return undefined;
      return known(serving, owner, event.at, (asked) => servesNames(asked, owner, ports));
    },
    executable: (event) => {
      const path = event.process.resource['process.executable.path'];
      const owner = ownerOf(event);
      if (typeof path !== 'string') return undefined;
      const now =
        owner === undefined
          ? undefined
          : known(states, owner, event.at, (asked) => executableState(asked, owner, path));
      return executable(path, now, event);
    },
  };
}

/** Whether one more is within so many a second of event time. */
function perSecond(most: number): (at: number) => boolean {
  let second = 0;
  let used = 0;
  return (at) => {
    const now = Math.floor(at / 1000);
    if (now !== second) {
      second = now;
      used = 0;
    }
    return ++used <= most;
  };
}

/** Read again when a server is not among them: the file may have changed this moment. */
function currentServers(
  resolvers: ResolverConfigs,
  owner: Owner,
  event: DetectorEvent,
): readonly string[] | undefined {
  const known = resolvers.of(owner)?.servers;
  if (known === undefined || event.kind !== 'lookup') return known;
  const { raw } = event.lookup.request;
  if (!known.includes((raw.dialed ?? raw.remote).address)) void resolvers.again(owner);
  return known;
}

/** What the kernel said of it at first sight, then what was seen since. */
function executable(path: string, now: ExecutableState | undefined, event: DetectorEvent): ExecutableFacts {
  const wasDeleted = event.process.resource['whodns.process.executable.deleted'] === true;
  return {
    path,
    deleted: wasDeleted || now?.deleted === true,
    replaced: now?.replaced === true,
    added: now?.added,
  };
}

function ownerOf(event: DetectorEvent): Owner | undefined {
  return event.kind === 'lookup' ? event.lookup.request.raw.owner : event.connection.owner;
}
