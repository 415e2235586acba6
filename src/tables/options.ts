/**
 * Every setting of the command as data: flag, environment variables, check, default. `config/` reads it;
 * `whodns --help` and docs/configuration.md are made from it.
 */
import { boolean, bytes, duration, integer, oneOf, type Parsed, type Parser } from '../lib/values.ts';
import { type Command, option, repeatable } from './option.ts';
import { CLIENT_COMMANDS, CONTROL_OPTIONS } from './options-control.ts';
import { DETECT_OPTIONS } from './options-detect.ts';
import { DNS_CACHE_OPTIONS } from './options-dnscache.ts';
import { HISTORY_OPTIONS } from './options-history.ts';
import { KUBERNETES_OPTIONS } from './options-kubernetes.ts';
import { METADATA_OPTIONS } from './options-metadata.ts';
import { OTLP_OPTIONS } from './options-otlp.ts';
import { SEARCH_OPTIONS } from './options-search.ts';
import { SHARE_OPTIONS } from './options-shares.ts';
import { type ExporterSpec, exporter, TELEMETRY_OPTIONS } from './options-telemetry.ts';
import { UI_OPTIONS } from './options-ui.ts';
import { VIEW_OPTIONS } from './options-view.ts';
import { VISIBILITY_OPTIONS } from './options-visibility.ts';

export type { ClientCommand, Command, Option, RepeatableOption } from './option.ts';
export { flagName } from './option.ts';
export type { ExporterSpec, SamplerName } from './options-telemetry.ts';

const CAPTURE: readonly Command[] = ['run', 'replay'];
const MINUTE = 60_000;

export const OPTIONS = {
  exporters: repeatable<ExporterSpec>({
    flag: '--exporter <name>',
    repeatable: true,
    commands: CAPTURE,
    description:
      "where records and metrics go: console, otlp, otlp-file:PATH, sdk (otlp, records through OpenTelemetry's SDK: slow), none; repeat or comma list",
    parse: exporter,
    default: undefined,
    shownDefault: 'otlp if an OTLP endpoint is configured, else console',
    // A path may hold commas.
    separator: /,(?=(?:console|otlp|sdk|none)(?:,|$)|otlp-file:)/,
  }),
  format: option<'table' | 'json'>({
    flag: '--format <format>',
    short: '-o',
    commands: ['run', 'replay', 'doctor', ...CLIENT_COMMANDS],
    env: ['WHODNS_FORMAT'],
    description: 'what the console shows: table, json',
    parse: oneOf('table', 'json'),
    default: 'table',
  }),
  hook: option<'auto' | 'fentry' | 'kprobe' | 'tracepoint'>({
    flag: '--hook <family>',
    commands: ['run', 'top'],
    env: ['WHODNS_HOOK'],
    description: 'kernel hooks: auto (the best that attaches), fentry, kprobe, tracepoint',
    parse: oneOf('auto', 'fentry', 'kprobe', 'tracepoint'),
    default: 'auto',
  }),
  btf: option<string | undefined>({
    flag: '--btf <file>',
    commands: ['run', 'top', 'doctor'],
    env: ['WHODNS_BTF'],
    description:
      'BTF of this kernel (KERNEL.btf, unpacked), for one that has none of its own (BTFHub has that of many): kprobe hooks only',
    parse: (text) => (text.includes('\0') ? { problem: 'is not a file name' } : { value: text }),
    default: undefined,
    shownDefault: "the kernel's own",
  }),
  seccomp: option<'enforce' | 'log' | 'off'>({
    flag: '--seccomp <mode>',
    commands: ['run'],
    env: ['WHODNS_SECCOMP'],
    description:
      'system calls that the agent never makes: enforce (they fail), log (the kernel logs them), off',
    parse: oneOf('enforce', 'log', 'off'),
    default: 'enforce',
  }),
  ports: repeatable<number>({
    flag: '--port <port>',
    repeatable: true,
    commands: [...CAPTURE, 'top'],
    env: ['WHODNS_PORTS'],
    description: 'DNS port, at most 4 of them; repeat or comma list',
    parse: integer(1, 65535),
    default: [53],
    shownDefault: '53',
  }),
  emit: option<'lookup' | 'request'>({
    flag: '--emit <when>',
    commands: CAPTURE,
    env: ['WHODNS_EMIT'],
    description: 'lookup: a record when the answer or the time-out comes; request: at once, no answer fields',
    parse: oneOf('lookup', 'request'),
    default: 'lookup',
  }),
  timeoutMs: option<number>({
    flag: '--timeout <duration>',
    commands: [...CAPTURE, 'top'],
    env: ['WHODNS_TIMEOUT'],
    description: 'how long an answer is waited for, 100ms to 10m',
    parse: duration(100, 10 * MINUTE),
    default: 5000,
    shownDefault: '5s',
  }),
  commandArgs: option<boolean>({
    flag: '--command-args',
    commands: ['run'],
    env: ['WHODNS_COMMAND_ARGS'],
    description: 'add process.command_args, with secrets masked',
    parse: boolean,
    default: false,
  }),
  durationMs: option<number | undefined>({
    flag: '--duration <duration>',
    commands: ['run'],
    description: 'stop after this time',
    parse: duration(100, 30 * 24 * 60 * MINUTE),
    default: undefined,
    shownDefault: 'until SIGINT or SIGTERM',
  }),
  maxPayload: option<number>({
    flag: '--max-payload <bytes>',
    commands: ['run'],
    env: ['WHODNS_MAX_PAYLOAD'],
    description: 'bytes of each message copied from the kernel, 128 to 65535',
    parse: integer(128, 65535),
    default: 4096,
  }),
  ringBytes: option<number>({
    flag: '--ring-bytes <bytes>',
    oldFlags: ['--ring'],
    commands: ['run'],
    env: ['WHODNS_RING_BYTES', 'WHODNS_RING'],
    description: 'kernel ring buffer, a power of two, 128K to 256M',
    parse: powerOfTwo(128 * 1024, 256 * 1024 * 1024),
    default: 8 * 1024 * 1024,
    shownDefault: '8M',
  }),
  maxInFlight: option<number>({
    flag: '--max-in-flight <count>',
    commands: CAPTURE,
    env: ['WHODNS_MAX_IN_FLIGHT'],
    description:
      'requests waiting for an answer; when full the oldest of who has most is finished as unknown',
    parse: integer(16, 10_000_000),
    default: 65536,
  }),
  nxdomainError: option<boolean>({
    flag: '--no-nxdomain-error',
    commands: CAPTURE,
    env: ['WHODNS_NXDOMAIN_ERROR'],
    description: 'do not call NXDOMAIN an error (error.type, severity)',
    parse: boolean,
    default: true,
    shownDefault: 'NXDOMAIN is an error',
  }),
  stats: option<string | undefined>({
    flag: '--stats-file <file>',
    oldFlags: ['--stats'],
    commands: CAPTURE,
    env: ['WHODNS_STATS_FILE', 'WHODNS_STATS'],
    description: 'write the loss ledger and the counters as JSON to this file at the end',
    parse: fileName,
    default: undefined,
  }),
  configFile: option<string | undefined>({
    flag: '--config-file <file>',
    oldFlags: ['--config'],
    commands: ['run', 'replay', 'search', 'doctor', ...CLIENT_COMMANDS],
    env: ['OTEL_CONFIG_FILE'],
    description: 'OpenTelemetry configuration file (YAML, schema 1.x) in place of all variables',
    parse: fileName,
    default: undefined,
  }),
  metricQuestionName: option<boolean>({
    flag: '--metric-question-name',
    commands: CAPTURE,
    env: ['WHODNS_METRIC_QUESTION_NAME'],
    description: 'dns.question.name on dns.lookup.duration: as many series as there are names',
    parse: boolean,
    default: false,
  }),
  traces: option<boolean>({
    flag: '--traces',
    commands: CAPTURE,
    env: ['WHODNS_TRACES'],
    description: 'each lookup as a span too, by OTLP',
    parse: boolean,
    default: false,
  }),
  processContext: option<boolean>({
    flag: '--no-process-context',
    commands: ['run'],
    env: ['WHODNS_PROCESS_CONTEXT'],
    description: 'do not read the identity that applications publish in their memory (OTEP 4719)',
    parse: boolean,
    default: true,
    shownDefault: 'it is read',
  }),
  hostName: option<string | undefined>({
    flag: '--host-name <name>',
    commands: CAPTURE,
    env: ['WHODNS_HOST_NAME'],
    description: 'host.name of all records: in a container the host name is that of the container',
    parse: (text) =>
      /^[\x21-\x7e]{1,253}$/.test(text) ? { value: text } : { problem: 'is not a host name' },
    default: undefined,
    shownDefault: 'what the system says',
  }),
  ...CONTROL_OPTIONS,
  ...UI_OPTIONS,
  connections: option<boolean>({
    flag: '--connections',
    commands: ['run'],
    env: ['WHODNS_CONNECTIONS'],
    description: 'TCP connections too, with the name their destination was looked up as (whodns.connect)',
    parse: boolean,
    default: false,
  }),
  ...HISTORY_OPTIONS,
  ...SEARCH_OPTIONS,
  ...DETECT_OPTIONS,
  ...KUBERNETES_OPTIONS,
  ...DNS_CACHE_OPTIONS,
  ...VIEW_OPTIONS,
  ...VISIBILITY_OPTIONS,
  ...SHARE_OPTIONS,
  traceContext: option<boolean>({
    flag: '--trace-context',
    commands: ['run'],
    env: ['WHODNS_TRACE_CONTEXT'],
    description: 'read the span a thread is in from where its application publishes it (OTEP 4947)',
    parse: boolean,
    default: false,
  }),
  ...METADATA_OPTIONS,
  ...TELEMETRY_OPTIONS,
  ...OTLP_OPTIONS,
} as const;

function fileName(text: string): Parsed<string> {
  return text.includes('\0') ? { problem: 'is not a file name' } : { value: text };
}

/** Ring buffer sizes: the kernel takes powers of two pages only (kernel/bpf/ringbuf.c, ringbuf_map_alloc). */
function powerOfTwo(min: number, max: number): Parser<number> {
  return (text) => {
    const parsed = bytes(min, max)(text);
    if ('problem' in parsed) return parsed;
    return Number.isInteger(Math.log2(parsed.value)) ? parsed : { problem: 'is not a power of two' };
  };
}
