/** Config -> who is captured: the parts of the pipeline that judge, and what `whodns status` shows. */
import type { Config } from '../config/config.ts';
import type { CgroupMounts } from '../enrich/containers/cgroup-mounts.ts';
import type { FilterPredicate } from '../filter/compile.ts';
import type { Ledger } from '../ledger.ts';
import { wallClock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Attributes, LogEvent, ProcessIdentity } from '../model.ts';
import { isEverybody, lookupRulesOf, policyOf } from './configured.ts';
import { levelEvent } from './event.ts';
import { VisibilityGate } from './gate.ts';
import { LookupFilter } from './lookup-filter.ts';
import { type LevelMap, Visibility } from './visibility.ts';
import type { Directory, WorkloadStatus } from './workload.ts';

export interface VisibilityParts {
  readonly config: Config;
  readonly log: Log;
  readonly ledger: Ledger;
  /** Resource attributes of the host. */
  readonly host: Attributes;
  /** undefined: a capture file, which knows no workloads. */
  readonly kernel: LevelMap | undefined;
  /** `hasLevels`. */
  readonly levels: boolean;
  readonly mounts: CgroupMounts;
  /** undefined: nobody is asked about containers and pods. */
  readonly workloads: Directory | undefined;
  readonly emit: (event: LogEvent) => void;
  readonly introduce: (process: ProcessIdentity) => void;
  /** `--filter` and its short forms; undefined: there is none. */
  readonly expression: FilterPredicate | undefined;
}

export interface CreatedVisibility {
  /** undefined: everybody is captured, and nothing of it runs. */
  readonly visibility: Visibility | undefined;
  /** undefined: every lookup becomes a record. */
  readonly gate: VisibilityGate | undefined;
  readonly status: () => WorkloadStatus[];
}

const NOBODY: Directory = { container: () => undefined, pod: () => undefined };

/** Somebody may be left out: by the configuration, or by an annotation where `annotated`: a source tells those of pods. */
export function hasLevels(config: Config, annotated: boolean): boolean {
  return annotated || !isEverybody(policyOf(config));
}

export function createVisibility(parts: VisibilityParts): CreatedVisibility {
  const { config, ledger, kernel, levels, introduce } = parts;
  const visibility = kernel !== undefined && levels ? create(parts, kernel) : undefined;
  const filter = new LookupFilter(lookupRulesOf(config), parts.expression);
  const gate =
    visibility === undefined && filter.isEmpty
      ? undefined
      : new VisibilityGate({ filter, visibility, stage: ledger.stage('visibility'), introduce });
  // Nothing runs where nobody is left out: who asks for the status has the groups looked at.
  const status = () => (visibility ?? create(parts, { setLevels: () => [] })).status();
  return { visibility, gate, status };
}

function create(
  { config, log, host, mounts, workloads, emit }: VisibilityParts,
  kernel: LevelMap,
): Visibility {
  return new Visibility({
    policy: policyOf(config),
    directory: workloads ?? NOBODY,
    mounts,
    kernel,
    log,
    onChange: (change) => emit(levelEvent(change, wallClock(), host)),
  });
}
