/** A change of a workload's level as a log event. */
import { forTerminal } from '../lib/escape.ts';
import type { Attributes, AttributeValue, LogEvent } from '../model.ts';
import type { VisibilityAttributeName } from '../tables/attributes.ts';
import { type LevelChange, workloadIdentity } from './workload.ts';

export const VISIBILITY_EVENT = 'whodns.visibility';
/** OpenTelemetry SeverityNumber INFO. */
const INFO = 9;

/** @param time Unix ns; @param host resource attributes of the host */
export function levelEvent(change: LevelChange, time: bigint, host: Attributes): LogEvent {
  const { name, previous, decision } = change;
  const attributes: Partial<Record<VisibilityAttributeName, AttributeValue>> = {
    'whodns.visibility.level': decision.level,
    'whodns.visibility.previous': previous,
    'whodns.visibility.origin': decision.origin,
    'whodns.visibility.reason': decision.reason,
  };
  return {
    eventName: VISIBILITY_EVENT,
    time,
    observedTime: time,
    severity: INFO,
    body: forTerminal(`visibility of ${name}: ${previous} -> ${decision.level} (${decision.reason})`),
    attributes,
    process: workloadIdentity(host, change),
    lookup: undefined,
  };
}
