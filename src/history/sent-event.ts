/** Connections and findings as they go to the thread that keeps them. */
import type { ConnectionEvent, LogEvent } from '../model.ts';
import type { SentConnection, SentEvent } from './segment.ts';

const NS = 1000n;

/** @param process the number that its identity was sent under */
export function sentEvent(event: LogEvent, process: number): SentEvent {
  if (event.connection !== undefined) return sentConnection(event.connection, process);
  return {
    kind: 'finding',
    time: Number(event.time / NS),
    process,
    event: event.eventName,
    severity: event.severity,
    body: event.body,
    attributes: event.attributes,
  };
}

function sentConnection({ time, connection, resolution }: ConnectionEvent, process: number): SentConnection {
  const { remote, local } = connection;
  return {
    kind: 'connection',
    time: Number(time / NS),
    process,
    address: remote.address,
    port: remote.port,
    local: local.address,
    localPort: local.port,
    names: resolution?.names ?? [],
    scope: resolution?.scope,
    answered: resolution === undefined ? undefined : Number(resolution.answered / NS),
    expires: resolution === undefined ? undefined : Number(resolution.expires / NS),
  };
}
