/** `whodns doctor`: what this host has, which hook family would attach, why not the others, what would be missed. */
import { isSea } from 'node:sea';
import { isPreempted } from './capture/preemption.ts';
import { type FamilyReport, type HostReport, probe } from './capture/probe.ts';
import { type MeasuredRights, measureRights, type Rights } from './capture/rights.ts';
import type { Config } from './config/config.ts';
import { Inspector } from './inspector/inspector.ts';
import { EXIT } from './lib/errors.ts';
import { forTerminal } from './lib/escape.ts';
import type { Log } from './lib/log.ts';
import { checkEndpoints, type EndpointReport } from './sinks/otlp/check.ts';
import { CAPABILITIES } from './tables/capabilities.ts';
import { HOOK_FAMILIES } from './tables/hook-families.ts';

/** Columns of the names on the left. */
const WIDTH = 25;
const AMBIENT = '+bpf,+perfmon,+sys_ptrace,+dac_read_search';
/** More capabilities than this are counted, not named. */
const MAX_NAMES = 8;

/** Exit code 0: capturing would work; 1: it would not. A collector that is away is told, but does not keep from capturing. */
export async function reportHost(
  config: Config,
  version: string,
  write: (text: string) => void,
  log: Log,
): Promise<number> {
  const probed = probe(config.btf);
  const endpoints = await checkEndpoints(config, { name: 'whodns', version });
  const inspector = Inspector.start({ log });
  // When it answers it has given up what it does not need.
  await inspector.alive([{ pid: process.pid, startTime: 0n }]);
  const report = { ...probed, endpoints, rights: measureRights('enforce', inspector.pid) };
  inspector.close();
  write(config.format === 'json' ? `${JSON.stringify(report)}\n` : describe(report));
  const works = report.chosen !== undefined && report.rights.problem === undefined;
  return works ? EXIT.ok : EXIT.unavailable;
}

interface Report extends HostReport {
  readonly endpoints: readonly EndpointReport[];
  readonly rights: MeasuredRights;
}

function describe(report: Report): string {
  const chosen = report.families.find(({ family }) => family === report.chosen);
  const lines = [
    `${'kernel'.padEnd(WIDTH)} ${report.kernel} ${report.machine}`,
    `${'BTF'.padEnd(WIDTH)} ${btf(report)}`,
    `${'capabilities'.padEnd(WIDTH)} ${capabilities(report)}`,
    ...Object.entries(report.settings)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name.padEnd(WIDTH)} ${value}`),
    `${'memlock'.padEnd(WIDTH)} ${report.memlock ?? 'unknown'}`,
    `${'preemption'.padEnd(WIDTH)} ${report.preemption ?? 'unknown'}${isPreempted(report.preemption) ? '  (fentry misses messages: kprobe and tracepoint are taken first)' : ''}`,
    ...rights(report.rights),
    ...report.endpoints.flatMap(endpoint),
    '',
    ...report.families.flatMap(family),
    '',
    ...verdict(report),
    ...(chosen?.missed ?? []).map((text) => `  - ${text}`),
  ];
  return `${lines.map(forTerminal).join('\n')}\n`;
}

function btf({ btf: hasOwn, btfFile, kernel }: Report): string {
  if (hasOwn) return 'yes';
  if (btfFile === undefined)
    return `no  (CONFIG_DEBUG_INFO_BTF: without it nothing can be captured, unless --btf FILE gives that of ${kernel})`;
  return btfFile.problem === undefined ? `no: that of ${btfFile.path} is used` : `no: ${btfFile.problem}`;
}

/** What this user may not, another may; what this host cannot, no one can. */
function verdict({ chosen, btf, btfFile, capabilities: held }: Report): string[] {
  if (chosen !== undefined) return [`whodns would use the ${chosen} hooks. What they do not see:`];
  const mayLoad = held['CAP_SYS_ADMIN'] || (held['CAP_BPF'] && held['CAP_PERFMON']);
  const hasBtf = btf || (btfFile !== undefined && btfFile.problem === undefined);
  if (!hasBtf || mayLoad) return ['whodns cannot capture on this host.'];
  return ['This user may not capture: run whodns as root, or with some of its rights only:', ...WITHOUT_ROOT];
}

/**
 * Of what an agent holds at its start. A file with capabilities gives them to whoever runs it: to a program that runs any script (Node)
 * none are given.
 */
const WITHOUT_ROOT = isSea()
  ? [
      `  as root, once: setcap cap_bpf,cap_perfmon=ep ${process.execPath}`,
      '  then any user who may run that file captures; names of services of other users need root',
    ]
  : [
      `  sudo setpriv --reuid=${process.getuid?.()} --regid=${process.getgid?.()} --clear-groups \\`,
      `    --inh-caps=${AMBIENT} --ambient-caps=${AMBIENT} whodns`,
    ];

function endpoint({ signals, endpoint: place, protocol, problem, hint }: EndpointReport): string[] {
  const title = `OTLP ${signals.join(', ')}`.padEnd(WIDTH);
  const where = place === '' ? '' : `${place} (${protocol}): `;
  const lines = [`${title} ${where}${problem === undefined ? 'takes requests' : `no: ${problem}`}`];
  return hint === undefined ? lines : [...lines, `${' '.repeat(WIDTH)} ${hint}`];
}

function capabilities(report: HostReport): string {
  const names = Object.entries(report.capabilities);
  const held = names.filter(([, has]) => has).map(([name]) => name);
  const lacking = names.filter(([, has]) => !has).map(([name]) => name);
  return [held.join(' '), lacking.length === 0 ? '' : `(not held: ${lacking.join(' ')})`]
    .filter((part) => part !== '')
    .join('  ');
}

/** Who takes the process over has what stands there. */
function rights({ started, capturing, problem }: MeasuredRights): string[] {
  const line = (name: string, text: string) => `${name.padEnd(WIDTH)} ${text}`;
  const first = line('agent, started', describeRights(started));
  if (capturing === undefined) return [first, line('agent, capturing', `it would not start: ${problem}`)];
  const { agent, inspector } = capturing;
  return [
    first,
    line('agent, capturing', describeRights(agent)),
    line('inspector', inspector === undefined ? 'none' : describeRights(inspector)),
  ];
}

function describeRights({ effective, permitted, bounding, noNewPrivs, seccomp }: Rights): string {
  const all = [...new Set([...effective, ...permitted])];
  const held = (names: readonly string[]) =>
    names.length > MAX_NAMES ? `${names.length} of ${CAPABILITIES.length}` : names.join(' ') || 'none';
  return [
    `capabilities: ${held(all)}`,
    `bounding set: ${held(bounding)}`,
    `no_new_privs: ${noNewPrivs ? 'yes' : 'no'}`,
    `system calls: ${seccomp ? 'filtered' : 'all'}`,
  ].join('; ');
}

function family({ family: name, available, fires, reason, hint }: FamilyReport): string[] {
  const title = name.padEnd(WIDTH);
  if (available) return [`${title} attaches${fires === true ? ' and sees a test datagram' : ''}`];
  const lines = [`${title} no: ${reason ?? 'unknown'}`];
  for (const line of hint?.split('\n') ?? []) lines.push(`${' '.repeat(WIDTH)} ${line}`);
  lines.push(`${' '.repeat(WIDTH)} needs ${HOOK_FAMILIES[name].needs}`);
  return lines;
}
