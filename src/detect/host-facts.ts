/** Facts of processes for detectors, looked up when a detector asks and remembered for a while. */
import { executableState } from '../enrich/executable.ts';
import { NameServing, procReader } from '../enrich/listening.ts';
import type { ResolverConfigs } from '../enrich/resolver-config.ts';
import type { Owner } from '../model.ts';
import type { DetectorEvent, ExecutableFacts, HostFacts } from './detector.ts';
import { FactCache } from './fact-cache.ts';
import { ownerOf } from './owner.ts';

/** A socket may be bound later: looked at again after this. */
const FRESH_MS = 60_000;
export const FACT_DEADLINE_MS = 5000;

export interface HostFactsOptions {
  readonly resolvers: ResolverConfigs;
  readonly ports: readonly number[];
  readonly procRoot?: string;
}

export function hostFacts({ resolvers, ports, procRoot = '/proc' }: HostFactsOptions): HostFacts {
  const names = new NameServing(procReader(procRoot), ports);
  const serving = new FactCache<boolean>({
    read: (owner) => names.of(owner),
    freshMs: FRESH_MS,
    deadlineMs: FACT_DEADLINE_MS,
  });
  const executables = new FactCache<ExecutableFacts>({
    read: async (owner, event) => executable(procRoot, owner, event),
    // A file can be deleted at any time.
    freshMs: 0,
    deadlineMs: FACT_DEADLINE_MS,
  });
  return {
    nameServers: (event, decide) => {
      const owner = ownerOf(event);
      return decide(owner === undefined ? undefined : currentServers(resolvers, owner, event));
    },
    servesNames: (event, decide) => {
      const owner = ownerOf(event);
      return owner === undefined ? decide(undefined) : serving.ask(owner, event, decide);
    },
    executable: (event, decide) => {
      const owner = ownerOf(event);
      // A capture file has no process to look at.
      if (owner === undefined) return decide(executable(procRoot, undefined, event));
      return executables.ask(owner, event, decide);
    },
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
function executable(
  procRoot: string,
  owner: Owner | undefined,
  event: DetectorEvent,
): ExecutableFacts | undefined {
  const { resource } = event.process;
  const path = resource['process.executable.path'];
  if (typeof path !== 'string') return undefined;
  const wasDeleted = resource['whodns.process.executable.deleted'] === true;
  const now = owner === undefined ? undefined : executableState(procRoot, owner, path);
  return {
    path,
    deleted: wasDeleted || now?.deleted === true,
    replaced: now?.replaced === true,
    added: now?.added,
  };
}
