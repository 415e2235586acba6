/**
 * A detector that is switched off sees nothing: that is a finding itself, on the resource of the agent. One record when it goes
 * off, one when it is on again.
 */
import { uuidV7 } from '../lib/uuid.ts';
import type { Attributes, LogEvent, ProcessIdentity } from '../model.ts';
import { FINDING_EVENT_NAME, FINDING_SEVERITY } from './finding.ts';
import type { Change } from './guard.ts';

/** In place of a rule's name: these are not findings of the rule. */
export const BLIND_RULE = 'detector-off';

/** Whom a record about the agent itself is of. @param host resource attributes of the host */
export function agentIdentity(host: Attributes, own: Attributes): ProcessIdentity {
  return {
    pid: 0,
    startTime: 0n,
    attribution: 'none',
    executableName: '',
    containerId: undefined,
    workload: '',
    resource: { 'service.name': 'whodns', ...host, ...own },
  };
}

/** @param time Unix ns */
export function blindRecord(change: Change, time: bigint, agent: ProcessIdentity): LogEvent {
  const { detector, isOff, reason, since, pauseMs, missed } = change;
  const seconds = Math.round(pauseMs / 1000);
  const text = isOff
    ? `${detector.name} sees nothing for ${seconds} s: ${reason}`
    : `${detector.name} is on again; it did not see ${missed} events`;
  return {
    eventName: FINDING_EVENT_NAME,
    time,
    observedTime: time,
    severity: FINDING_SEVERITY[isOff ? 'error' : 'info'],
    body: `${BLIND_RULE}: ${text}`,
    attributes: {
      'security_rule.name': BLIND_RULE,
      'security_rule.description': 'A detector was switched off, or is on again.',
      'whodns.finding.subject': detector.name,
      'whodns.finding.kind': isOff ? 'off' : 'on',
      'whodns.finding.reason': reason,
      'whodns.finding.since': new Date(since).toISOString(),
      ...(isOff ? { 'whodns.finding.seconds': pauseMs / 1000 } : { 'whodns.finding.missed': missed }),
      'log.record.uid': uuidV7(Number(time / 1_000_000n)),
    },
    process: agent,
    lookup: undefined,
  };
}
