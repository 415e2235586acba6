/** A connection as a log event: which fact goes into which attribute. */
import { forTerminal } from '../lib/escape.ts';
import type { AttributeValue, ConnectionEvent, LogEvent, RawConnection, Resolution } from '../model.ts';
import type { ConnectAttributeName } from '../tables/attributes-connect.ts';
import { withPort } from './cells.ts';
import { bounded, commText, newUid, SEVERITY } from './record-common.ts';

export const CONNECT_EVENT_NAME = 'whodns.connect';
export const MAX_NAMES = 16;

type ConnectAttributes = Partial<Record<ConnectAttributeName, AttributeValue>>;

/** @param observedTime Unix ns at which user space has it in hand */
export function toConnectionLog(
  event: ConnectionEvent,
  observedTime: bigint,
  uid: (time: bigint) => string = newUid,
): LogEvent {
  const { connection, process, resolution } = event;
  const attributes: ConnectAttributes = {
    'network.peer.address': connection.remote.address,
    'network.peer.port': connection.remote.port,
    'network.local.address': connection.local.address,
    ...(connection.local.port === 0 ? {} : { 'network.local.port': connection.local.port }),
    'network.transport': 'tcp',
    'network.type': connection.family === 4 ? 'ipv4' : 'ipv6',
    ...resolved(event, resolution),
    ...thread(connection),
    'whodns.attribution': process.attribution,
    'whodns.netns': connection.networkNamespace,
    'log.record.uid': uid(observedTime),
  };
  return {
    eventName: CONNECT_EVENT_NAME,
    time: event.time,
    observedTime,
    severity: SEVERITY.info,
    body: displayLine(event),
    attributes,
    process,
    lookup: undefined,
    connection: event,
  };
}

function thread({ owner }: RawConnection): ConnectAttributes {
  if (owner === undefined) return {};
  return { 'whodns.thread.id': owner.tid, 'whodns.thread.name': commText(owner.threadName) };
}

function resolved({ time }: ConnectionEvent, resolution: Resolution | undefined): ConnectAttributes {
  if (resolution === undefined) return { 'whodns.unresolved': true };
  return {
    'whodns.connect.names': resolution.names.slice(0, MAX_NAMES).map(bounded),
    'whodns.connect.scope': resolution.scope,
    // To the microsecond and the millisecond: what is behind is noise.
    'whodns.connect.answer_age': Number((time - resolution.answered) / 1000n) / 1000,
    'whodns.connect.ttl_left': Number((resolution.expires - time) / 1_000_000n) / 1000,
  };
}

/** `connect 192.0.2.1:443 www.example.com +1 (curl)`: one line for people, safe for a terminal. */
function displayLine({ connection, process, resolution }: ConnectionEvent): string {
  const more = resolution === undefined ? 0 : resolution.names.length - 1;
  const name = resolution === undefined ? 'unresolved' : (resolution.names[0] ?? '');
  const who = process.executableName === '' ? '' : ` (${process.executableName})`;
  const text = `connect ${withPort(connection.remote)} ${name}${more > 0 ? ` +${more}` : ''}${who}`;
  return bounded(forTerminal(text));
}
