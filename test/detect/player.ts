/** Events of programs -> the detections, with the facts of the host that the programs have. */
import { agentIdentity } from '../../src/detect/blind.ts';
import { Detections } from '../../src/detect/detections.ts';
import type { DetectorEvent, ExecutableFacts, HostFacts } from '../../src/detect/detector.ts';
import { loadDetectors } from '../../src/detect/load.ts';
import { NO_CACHE } from '../../src/detect/no-cache.ts';
import { SearchFolding } from '../../src/detect/search.ts';
import { Ledger } from '../../src/ledger.ts';
import { createLog } from '../../src/lib/log.ts';
import type { Attributes, LogEvent, Owner, ProcessIdentity, Resolution } from '../../src/model.ts';
import { RULES, type RuleName } from '../../src/tables/detections.ts';
import { OWNER } from '../unit/correlate-events.ts';
import { viewOf } from '../unit/message-bytes.ts';
import { identity, lookup, TIME } from '../unit/sink-events.ts';
import type { Event, Program } from './ordinary.ts';

export const ALL = Object.keys(RULES) as RuleName[];

/** A program that does something a rule is about. */
export interface Actor extends Program {
  readonly attributes?: Attributes;
  readonly executable?: ExecutableFacts;
}

export class Player {
  readonly findings: LogEvent[] = [];
  lookups = 0;
  wasted = 0;
  readonly #actors = new Map<
    number,
    { readonly actor: Actor; readonly process: ProcessIdentity; readonly owner: Owner }
  >();
  readonly #detections: Detections;
  readonly #folding: SearchFolding;

  private constructor(make: (host: HostFacts, emit: (finding: LogEvent) => void) => Detections) {
    const of = (event: DetectorEvent) => this.#actors.get(event.process.pid)?.actor;
    const host: HostFacts = {
      nameServers: (event, decide) => decide(of(event)?.servers),
      servesNames: (event, decide) => decide(of(event)?.serves ?? false),
      executable: (event, decide) => decide(of(event)?.executable),
    };
    this.#detections = make(host, (finding) => this.findings.push(finding));
    this.#folding = new SearchFolding((owner) => {
      const { servers = [], search = [] } = this.#actors.get(owner.pid)?.actor ?? {};
      return { servers, search, ndots: search.length === 0 ? 1 : 5 };
    });
  }

  static async open(settings: readonly string[] = []): Promise<Player> {
    const detectors = await loadDetectors({ detect: ALL, detectors: [] });
    const rest = {
      agent: agentIdentity({}, {}),
      pauseMs: 60_000,
      dns: NO_CACHE,
      ledger: new Ledger(),
      log: createLog('error', () => {}),
    };
    return new Player(
      (host, emit) => new Detections({ detectors, settings, cooldownMs: 600_000, host, emit, ...rest }),
    );
  }

  play(events: readonly Event[]): void {
    for (const event of events) this.#play(event);
  }

  connect(at: number, actor: Actor, address: string, port: number, resolution?: Resolution): void {
    const { process, owner } = this.#known(actor);
    const time = timeOf(at);
    const local = { address: actor.address, port: 0 };
    const family = address.includes(':') ? 6 : 4;
    const remote = { address, port };
    const connection = {
      kind: 'connection' as const,
      time,
      family,
      networkNamespace: 1,
      socket: 1n,
      local,
      remote,
      owner,
    } as const;
    this.#detections.connection({ kind: 'connection', time, connection, process, resolution }, undefined);
  }

  #play({ at, who, name, type, rcode, answers, server, connect }: Event): void {
    const { process, owner } = this.#known(who);
    const time = timeOf(at);
    const raw = {
      time,
      owner,
      local: { address: who.address, port: 40_000 },
      remote: { address: server, port: 53 },
    };
    // The bytes of the answer, about: header, question and records.
    const length = 30 + name.length + answers.reduce((sum, { data }) => sum + 12 + data.length, 0);
    const made = lookup({ name, type, rcode, answers, process, raw });
    const response = made.response === undefined ? undefined : { ...made.response, length };
    const search = this.#folding.fold(made);
    const whole = { ...made, response, ...(search === undefined ? {} : { search }) };
    this.wasted += search?.wasted ?? 0;
    this.lookups++;
    const view = viewOf(whole);
    view.answer.message.length = length;
    this.#detections.lookup(view);
    if (connect !== undefined) this.connect(at + 0.01, who, connect.address, connect.port);
  }

  #known(actor: Actor) {
    let known = this.#actors.get(actor.pid);
    if (known === undefined) {
      const { pid, path, attributes } = actor;
      const resource = { 'process.pid': pid, 'process.executable.path': path, ...attributes };
      const process = identity({ pid, executableName: path.replace(/.*\//, ''), resource });
      known = { actor, process, owner: { ...OWNER, pid, tid: pid } };
      this.#actors.set(pid, known);
    }
    return known;
  }
}

function timeOf(seconds: number): bigint {
  return TIME + BigInt(Math.round(seconds * 1e6)) * 1000n;
}
