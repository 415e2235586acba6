/** Facts of processes for detectors, looked up when a detector asks and remembered for a while. */
import { type ExecutableState, executableState } from '../enrich/process/executable.ts';
import { NameServing, socketReader } from '../enrich/process/listening.ts';
import type { ResolverConfigs } from '../enrich/process/resolver-config.ts';
import type { Inspector } from '../inspector/inspector.ts';
import type { Owner } from '../model.ts';
import type { DetectorEvent, ExecutableFacts, HostFacts, Outcome } from './detector.ts';
import { FactCache } from './fact-cache.ts';
import { Later, NO_FACT } from './later.ts';
import { ownerOf } from './owner.ts';

/** A socket may be bound later: looked at again after this. */
const FRESH_MS = 60_000;
export const FACT_DEADLINE_MS = 5000;

export interface HostFactsOptions {
  readonly resolvers: ResolverConfigs;
  readonly ports: readonly number[];
  /** undefined: a capture file, which has no processes. */
  readonly inspector: Inspector | undefined;
}

export function hostFacts({ resolvers, ports, inspector }: HostFactsOptions): HostFacts {
  const names = inspector && new NameServing(socketReader(inspector), ports);
  const serving = new FactCache<boolean>({
    read: async (owner) => names?.of(owner),
    freshMs: FRESH_MS,
    deadlineMs: FACT_DEADLINE_MS,
  });
  const executables = new FactCache<ExecutableFacts>({
    read: async (owner, event) => executable(inspector, owner, event),
    // A file can be deleted at any time.
    freshMs: 0,
    deadlineMs: FACT_DEADLINE_MS,
  });
  return {
    nameServers: (event, decide) => {
      const owner = ownerOf(event);
      return owner === undefined ? decide(undefined) : currentServers(resolvers, owner, event, decide);
    },
    servesNames: (event, decide) => {
      const owner = ownerOf(event);
      return owner === undefined ? decide(undefined) : serving.ask(owner, event, decide);
    },
    executable: (event, decide) => {
      const owner = ownerOf(event);
      // A capture file has no process to look at.
      if (owner === undefined) return decide(toldExecutable(event, undefined));
      return executables.ask(owner, event, decide);
    },
  };
}

/** Read again when a server is not among them: the file may have changed this moment. */
function currentServers(
  resolvers: ResolverConfigs,
  owner: Owner,
  event: DetectorEvent,
  decide: (servers: readonly string[] | undefined) => Outcome,
): Outcome {
  const known = resolvers.of(owner)?.servers;
  if (known === undefined || event.kind !== 'lookup') return decide(known);
  const { raw } = event.lookup.request;
  if (known.includes((raw.dialed ?? raw.remote).address)) return decide(known);
  return new Later((deliver) => {
    void resolvers.again(owner).then((config) => deliver(config?.servers ?? NO_FACT));
  }, decide);
}

/** What the kernel said of it at first sight, then what is seen now. */
async function executable(
  inspector: Inspector | undefined,
  owner: Owner,
  event: DetectorEvent,
): Promise<ExecutableFacts | undefined> {
  const path = event.process.resource['process.executable.path'];
  if (typeof path !== 'string') return undefined;
  return toldExecutable(event, inspector && (await executableState(inspector, owner, path)));
}

function toldExecutable(event: DetectorEvent, now: ExecutableState | undefined): ExecutableFacts | undefined {
  const { resource } = event.process;
  const path = resource['process.executable.path'];
  if (typeof path !== 'string') return undefined;
  const wasDeleted = resource['whodns.process.executable.deleted'] === true;
  return {
    path,
    deleted: wasDeleted || now?.deleted === true,
    replaced: now?.replaced === true,
    added: now?.added,
  };
}
