/** What stands where records shall go: asked with a request without records, which a server takes like any other. `whodns doctor`. */
import type { Config } from '../../config/config.ts';
import { UserError } from '../../lib/errors.ts';
import { reachProblem } from './reach.ts';
import { type OtlpProtocol, type OtlpTarget, otlpTarget, type Signal, userAgent } from './target.ts';
import { createTransport } from './transport.ts';

/** ms of one request. */
const TIMEOUT_MS = 3000;

export interface EndpointReport {
  readonly signals: readonly Signal[];
  /** Without credentials. */
  readonly endpoint: string;
  readonly protocol: OtlpProtocol;
  /** Why nothing would arrive there, one line; undefined: it takes requests. */
  readonly problem: string | undefined;
  readonly hint: string | undefined;
}

type Answer = Pick<EndpointReport, 'problem' | 'hint'>;
const TAKEN: Answer = { problem: undefined, hint: undefined };

/** Every OTLP endpoint of the configuration once. Never rejects: what is wrong is the report. */
export async function checkEndpoints(
  config: Config,
  agent: { readonly name: string; readonly version: string },
): Promise<readonly EndpointReport[]> {
  const reports = new Map<string, EndpointReport>();
  for (const signal of signalsOf(config)) {
    const protocol = config[`${signal}Protocol`];
    try {
      const target = otlpTarget(config, signal);
      const key = `${protocol} ${target.shown}`;
      const found = reports.get(key);
      if (found !== undefined) reports.set(key, { ...found, signals: [...found.signals, signal] });
      else {
        const answer = await check(config, signal, target, userAgent(agent));
        reports.set(key, { signals: [signal], endpoint: target.shown, protocol, ...answer });
      }
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const { message: problem, hint } = error;
      reports.set(`${signal} unusable`, { signals: [signal], endpoint: '', protocol, problem, hint });
    }
  }
  return [...reports.values()];
}

function signalsOf({ logs, metrics, traces }: Config): readonly Signal[] {
  const isSent = (specs: Config['logs']) => specs.some(({ kind }) => kind === 'otlp' || kind === 'sdk');
  return [
    ...(isSent(logs) ? (['logs'] as const) : []),
    ...(isSent(metrics) ? (['metrics'] as const) : []),
    ...(traces && isSent(logs) ? (['traces'] as const) : []),
  ];
}

async function check(config: Config, signal: Signal, target: OtlpTarget, agent: string): Promise<Answer> {
  const unreachable = await reachProblem(target);
  if (unreachable !== undefined) return { problem: unreachable, hint: hintOf(unreachable, target) };
  const problem = await ask(signal, target, agent);
  if (problem === undefined) return TAKEN;
  const other: OtlpProtocol = target.protocol === 'grpc' ? 'http/protobuf' : 'grpc';
  const otherTarget = byProtocol(config, signal, other);
  if (otherTarget === undefined || (await ask(signal, otherTarget, agent)) !== undefined)
    return { problem, hint: undefined };
  return {
    problem: `${place(target)} speaks ${other}, not ${target.protocol}`,
    hint: `OTEL_EXPORTER_OTLP_PROTOCOL=${other}`,
  };
}

/** @returns why the request was not taken */
async function ask(signal: Signal, target: OtlpTarget, agent: string): Promise<string | undefined> {
  let warned: string | undefined;
  const warn = (message: string) => {
    warned ??= message;
  };
  const transport = await createTransport({ signal, target, userAgent: agent, warn });
  try {
    const answer = await transport.send(new Uint8Array(0), Math.min(target.timeoutMs, TIMEOUT_MS));
    if (answer.status === 'success') return undefined;
    return warned ?? answer.error?.message ?? 'the server asks to try later';
  } finally {
    transport.shutdown();
  }
}

/** The same place by the other protocol; undefined: it cannot be. The path of a signal's own endpoint belongs to its protocol. */
function byProtocol(config: Config, signal: Signal, protocol: OtlpProtocol): OtlpTarget | undefined {
  const own = config[`${signal}Endpoint`];
  const general = own === undefined || protocol === 'grpc' ? own : new URL('/', own).href;
  try {
    const place = own === undefined ? {} : { [`${signal}Endpoint`]: undefined, otlpEndpoint: general };
    return otlpTarget({ ...config, ...place, [`${signal}Protocol`]: protocol }, signal);
  } catch {
    return undefined;
  }
}

function place({ socket, host, port }: OtlpTarget): string {
  return socket ?? `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function hintOf(problem: string, target: OtlpTarget): string | undefined {
  if (/ENOTFOUND|EAI_AGAIN/.test(problem)) return `this host finds no address for ${target.host}`;
  if (/ECONNREFUSED|ENOENT/.test(problem))
    return `nothing listens at ${place(target)}: a collector takes grpc at 4317, http/protobuf at 4318, unless its configuration says otherwise`;
  return undefined;
}
