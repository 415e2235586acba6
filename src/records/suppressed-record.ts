/** What was left out of a workload that is over its share, by the kernel or at a bound of the agent, as a log event on that workload. */
import { forTerminal } from '../lib/escape.ts';
import type { Untold } from '../lib/fairness.ts';
import type { Attributes, AttributeValue, LogEvent, ProcessIdentity, Suppression } from '../model.ts';
import type { SuppressedAttributeName } from '../tables/suppressed-attributes.ts';
import { bounded, SEVERITY } from './record-common.ts';

export const SUPPRESSED_EVENT_NAME = 'whodns.suppressed';

/** Of a resource what is the workload's, not one process's. */
const OF_THE_EXECUTABLE = ['process.executable.name', 'process.executable.path'];
const OF_A_PROCESS = /^(?:process|whodns\.process)\./;

/**
 * @param process one of those that share it, that which sent most; undefined: none is known
 * @param host resource attributes of the host
 * @param time Unix ns
 */
export function toSuppressedLog(
  { share, common, requests, responses, connections, since }: Suppression,
  process: ProcessIdentity | undefined,
  host: Attributes,
  time: bigint,
): LogEvent {
  const attributes: Partial<Record<SuppressedAttributeName, AttributeValue>> = {
    'whodns.suppressed.requests': requests,
    'whodns.suppressed.responses': responses,
    'whodns.suppressed.connections': connections,
    'whodns.suppressed.since': new Date(Number(since / 1_000_000n)).toISOString(),
    'whodns.suppressed.share': common ?? 'cgroup',
    ...(common === undefined ? { 'whodns.suppressed.cgroup.id': String(share.cgroupId) } : {}),
    ...(common === undefined && share.user !== undefined ? { 'whodns.suppressed.user.id': share.user } : {}),
  };
  const workload = workloadOf(process, host);
  const whose = workload.workload || workload.executableName || common || `cgroup ${share.cgroupId}`;
  return {
    eventName: SUPPRESSED_EVENT_NAME,
    time,
    observedTime: time,
    severity: SEVERITY.warn,
    body: bounded(
      forTerminal(
        `${whose}: ${requests} requests, ${responses} answers, ${connections} connections left out`,
      ),
    ),
    attributes,
    process: workload,
    lookup: undefined,
  };
}

/**
 * @param process that which had to give way last; undefined: it is not known
 * @param host resource attributes of the host
 * @param since Unix ns of the last such records
 * @param time Unix ns
 */
export function toGaveWayLog(
  { owner, cgroupId, bound, count }: Untold,
  process: ProcessIdentity | undefined,
  host: Attributes,
  since: bigint,
  time: bigint,
): LogEvent {
  // Below 0: who is known by an address only (fairness.ts).
  const share = owner === undefined ? 'others' : cgroupId > 0n ? 'cgroup' : 'unknown';
  const attributes: Partial<Record<SuppressedAttributeName, AttributeValue>> = {
    'whodns.suppressed.bound': bound,
    'whodns.suppressed.given_up': count,
    'whodns.suppressed.since': new Date(Number(since / 1_000_000n)).toISOString(),
    'whodns.suppressed.share': share,
    ...(share === 'cgroup'
      ? { 'whodns.suppressed.cgroup.id': String(cgroupId), 'whodns.suppressed.user.id': owner?.uid ?? 0 }
      : {}),
  };
  const workload = workloadOf(process, host);
  const whose =
    workload.workload || workload.executableName || (share === 'cgroup' ? `cgroup ${cgroupId}` : share);
  return {
    eventName: SUPPRESSED_EVENT_NAME,
    time,
    observedTime: time,
    severity: SEVERITY.warn,
    body: bounded(forTerminal(`${whose}: gave way ${count} times, ${bound}`)),
    attributes,
    process: workload,
    lookup: undefined,
  };
}

function workloadOf(process: ProcessIdentity | undefined, host: Attributes): ProcessIdentity {
  const inContainer = process?.containerId !== undefined;
  // Here is no place to mark what a user says of a container of his own.
  const isClaim = process?.attribution === 'unverified';
  const told = Object.entries(process?.resource ?? {}).filter(
    ([name]) => !isClaim || !name.startsWith('container.'),
  );
  const kept = told.filter(
    ([name]) => !OF_A_PROCESS.test(name) || (!inContainer && OF_THE_EXECUTABLE.includes(name)),
  );
  return {
    pid: 0,
    startTime: 0n,
    attribution: 'none',
    executableName: inContainer ? '' : (process?.executableName ?? ''),
    containerId: process?.containerId,
    workload: process?.workload ?? '',
    resource: { 'service.name': 'unknown_service', ...host, ...Object.fromEntries(kept) },
  };
}
