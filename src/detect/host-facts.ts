/** Facts of processes for detectors, looked up when a detector asks and remembered for a while. */
import { executableState } from '../enrich/executable.ts';
import { servesNames } from '../enrich/listening.ts';
import type { ResolverConfigs } from '../enrich/resolver-config.ts';
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
  readonly ports: readonly number[];
  readonly procRoot?: string;
}

interface Answer {
  readonly startTime: bigint;
  readonly at: number;
  readonly serves: boolean | undefined;
}

export function hostFacts({ resolvers, ports, procRoot = '/proc' }: HostFactsOptions): HostFacts {
  const budget = perSecond(MOST_LOOKS);
  const answers = new BoundedMap<number, Answer>(MOST_REMEMBERED);
  return {
    nameServers: (event) => {
      const owner = ownerOf(event);
      return owner === undefined ? undefined : currentServers(resolvers, owner, event);
    },
    servesNames: (event) => {
      const owner = ownerOf(event);
      if (owner === undefined) return undefined;
      const known = answers.get(owner.pid);
      if (known !== undefined && known.startTime === owner.startTime && event.at - known.at < FRESH_MS)
        return known.serves;
      if (!budget(event.at)) return undefined;
      const serves = servesNames(procRoot, owner, ports);
      answers.set(owner.pid, { startTime: owner.startTime, at: event.at, serves });
      return serves;
    },
    executable: (event) => executable(procRoot, event),
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
  return known.includes((raw.dialed ?? raw.remote).address) ? known : resolvers.again(owner)?.servers;
}

/** What the kernel said of it at first sight, then what /proc says now. */
function executable(procRoot: string, event: DetectorEvent): ExecutableFacts | undefined {
  const { resource } = event.process;
  const path = resource['process.executable.path'];
  if (typeof path !== 'string') return undefined;
  const wasDeleted = resource['whodns.process.executable.deleted'] === true;
  const owner = ownerOf(event);
  const now = owner === undefined ? undefined : executableState(procRoot, owner, path);
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
