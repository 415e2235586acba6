/** Config -> the detections of a run. The only way in: rules and the public suffix list are loaded only when asked for. */
import type { Config } from '../config/config.ts';
import type { ResolverConfigs } from '../enrich/process/resolver-config.ts';
import type { Inspector } from '../inspector/inspector.ts';
import type { Ledger } from '../ledger.ts';
import type { Fairness } from '../lib/fairness.ts';
import type { Log } from '../lib/log.ts';
import type { Attributes, LogEvent } from '../model.ts';
import type { Detections } from './detections.ts';
import type { Detector, NameCache } from './detector.ts';

export interface DetectionParts {
  readonly config: Config;
  readonly ledger: Ledger;
  readonly fairness?: Fairness;
  readonly log: Log;
  /** Resource attributes of the host. */
  readonly host: Attributes;
  readonly resolvers: ResolverConfigs;
  /** undefined: a capture file, which has no processes. */
  readonly inspector: Inspector | undefined;
  /** The cache, when a detector needs it. */
  readonly dns: NameCache;
  readonly emit: (finding: LogEvent) => void;
}

/** @throws UserError: a file of a user is no detector. */
export async function detectorsOf(config: Config): Promise<readonly Detector[]> {
  if (config.detect.length === 0 && config.detectors.length === 0) return [];
  return (await import('./load.ts')).loadDetectors(config);
}

/** Some detector wants connections or the cache. */
export function needs(detectors: readonly Detector[], what: 'connections' | 'dns'): boolean {
  return detectors.some((detector) => detector.needs?.includes(what));
}

/** undefined without detectors. @throws UserError: a setting is wrong. */
export async function startDetections(
  detectors: readonly Detector[],
  { config, ledger, fairness, log, host, resolvers, inspector, dns, emit }: DetectionParts,
): Promise<Detections | undefined> {
  if (detectors.length === 0) return undefined;
  const { Detections: All } = await import('./detections.ts');
  const { hostFacts } = await import('./host-facts.ts');
  const { agentIdentity } = await import('./blind.ts');
  const service = config.serviceName === undefined ? {} : { 'service.name': config.serviceName };
  const detections = new All({
    detectors,
    settings: config.detectSet,
    cooldownMs: config.detectCooldownMs,
    dns,
    host: hostFacts({ resolvers, inspector, ports: config.ports }),
    agent: agentIdentity(host, { ...Object.fromEntries(config.resourceAttributes), ...service }),
    pauseMs: config.detectPauseMs,
    ledger,
    fairness,
    log,
    emit,
  });
  log.info(`detecting: ${detectors.map(({ name }) => name).join(', ')}`);
  return detections;
}
