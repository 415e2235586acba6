/** Detectors on events made by hand: the same path as in the pipeline, with facts of the host that the test states. */
import { agentIdentity } from '../../src/detect/blind.ts';
import { Detections } from '../../src/detect/detections.ts';
import type { Detector, ExecutableFacts, HostFacts } from '../../src/detect/detector.ts';
import { loadDetectors } from '../../src/detect/load.ts';
import { NO_CACHE } from '../../src/detect/no-cache.ts';
import { Ledger } from '../../src/ledger.ts';
import type { Log } from '../../src/lib/log.ts';
import type { LogEvent, ProcessIdentity, Resolution } from '../../src/model.ts';
import type { RuleName } from '../../src/tables/detections.ts';
import { viewOf } from './message-bytes.ts';
import { identity, lookup, type Spec, TIME } from './sink-events.ts';

export interface HostSpec {
  readonly servers?: readonly string[];
  readonly serves?: boolean;
  readonly executable?: ExecutableFacts;
  /** In place of those that answer at once. */
  readonly facts?: Partial<HostFacts>;
}

export const AGENT = agentIdentity({ 'host.name': 'here' }, {});

export interface Scene {
  readonly findings: LogEvent[];
  readonly messages: string[];
  readonly ledger: Ledger;
  readonly detections: Detections;
  /** A lookup `seconds` after the beginning. */
  ask(seconds: number, spec: Spec): void;
  connect(
    seconds: number,
    address: string,
    port: number,
    process?: ProcessIdentity,
    resolution?: Resolution,
  ): void;
  rules(): string[];
}

export async function sceneOf(
  rules: readonly RuleName[],
  settings: readonly string[] = [],
  host: HostSpec = {},
): Promise<Scene> {
  return sceneWith(await loadDetectors({ detect: rules, detectors: [] }), settings, host);
}

export function sceneWith(
  detectors: readonly Detector[],
  settings: readonly string[] = [],
  host: HostSpec = {},
  cooldownMs = 600_000,
  pauseMs = 60_000,
): Scene {
  const findings: LogEvent[] = [];
  const messages: string[] = [];
  const ledger = new Ledger();
  const say = (text: string) => messages.push(text);
  const log: Log = { error: say, warn: say, info: say, debug: () => {} };
  const facts: HostFacts = {
    nameServers: (_event, decide) => decide(host.servers),
    servesNames: (_event, decide) => decide(host.serves),
    executable: (_event, decide) => decide(host.executable),
    ...host.facts,
  };
  const detections = new Detections({
    detectors,
    settings,
    cooldownMs,
    dns: NO_CACHE,
    host: facts,
    agent: AGENT,
    pauseMs,
    ledger,
    log,
    emit: (finding) => findings.push(finding),
  });
  return {
    findings,
    messages,
    ledger,
    detections,
    ask: (seconds, spec) => {
      const time = timeOf(seconds);
      const whole = lookup({ ...spec, raw: { ...spec.raw, time } });
      detections.lookup(viewOf(whole));
    },
    connect: (seconds, address, port, process = identity(), resolution = undefined) => {
      const time = timeOf(seconds);
      const connection = {
        kind: 'connection' as const,
        time,
        family: 4 as const,
        networkNamespace: 1,
        socket: 1n,
        local: { address: '198.51.100.7', port: 0 },
        remote: { address, port },
        owner: undefined,
      };
      detections.connection({ kind: 'connection', time, connection, process, resolution }, undefined);
    },
    rules: () => findings.map(({ attributes }) => String(attributes['security_rule.name'])),
  };
}

function timeOf(seconds: number): bigint {
  return TIME + BigInt(Math.round(seconds * 1e6)) * 1000n;
}

/** Repeatable pseudo-random numbers (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export function letters(length: number, next: () => number, alphabet = 'abcdefghijklmnopqrstuvwxyz'): string {
  let text = '';
  for (let i = 0; i < length; i++) text += alphabet[Math.floor(next() * alphabet.length)];
  return text;
}
