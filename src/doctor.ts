/** `whodns doctor`: what this host has, which hook family would attach, why not the others, what would be missed. */

import { isPreempted } from './capture/preemption.ts';
import { type FamilyReport, type HostReport, probe } from './capture/probe.ts';
import { type MeasuredRights, measureRights, type Rights } from './capture/rights.ts';
import { Inspector } from './inspector/inspector.ts';
import { EXIT } from './lib/errors.ts';
import { forTerminal } from './lib/escape.ts';
import type { Log } from './lib/log.ts';
import { CAPABILITIES } from './tables/capabilities.ts';
import { HOOK_FAMILIES } from './tables/hook-families.ts';

/** Columns of the names on the left. */
const WIDTH = 25;
/** More capabilities than this are counted, not named. */
const MAX_NAMES = 8;

/** Exit code 0: capturing would work; 1: it would not. */
export async function reportHost(
  format: 'table' | 'json',
  write: (text: string) => void,
  log: Log,
): Promise<number> {
  const probed = probe();
  const inspector = Inspector.start({ log });
  // When it answers it has given up what it does not need.
  await inspector.alive([{ pid: process.pid, startTime: 0n }]);
  const report = { ...probed, rights: measureRights('enforce', inspector.pid) };
  inspector.close();
  write(format === 'json' ? `${JSON.stringify(report)}\n` : describe(report));
  const works = report.chosen !== undefined && report.rights.problem === undefined;
  return works ? EXIT.ok : EXIT.unavailable;
}

interface Report extends HostReport {
  readonly rights: MeasuredRights;
}

function describe(report: Report): string {
  const chosen = report.families.find(({ family }) => family === report.chosen);
  const yes = (has: boolean) => (has ? 'yes' : 'no');
  const lines = [
    `${'kernel'.padEnd(WIDTH)} ${report.kernel} ${report.machine}`,
    `${'BTF'.padEnd(WIDTH)} ${yes(report.btf)}${report.btf ? '' : '  (CONFIG_DEBUG_INFO_BTF: without it nothing can be captured)'}`,
    `${'capabilities'.padEnd(WIDTH)} ${capabilities(report)}`,
    ...Object.entries(report.settings)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name.padEnd(WIDTH)} ${value}`),
    `${'memlock'.padEnd(WIDTH)} ${report.memlock ?? 'unknown'}`,
    `${'preemption'.padEnd(WIDTH)} ${report.preemption ?? 'unknown'}${isPreempted(report.preemption) ? '  (fentry misses messages: kprobe and tracepoint are taken first)' : ''}`,
    ...rights(report.rights),
    '',
    ...report.families.flatMap(family),
    '',
    report.chosen === undefined
      ? 'whodns cannot capture on this host.'
      : `whodns would use the ${report.chosen} hooks. What they do not see:`,
    ...(chosen?.missed ?? []).map((text) => `  - ${text}`),
  ];
  return `${lines.map(forTerminal).join('\n')}\n`;
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
