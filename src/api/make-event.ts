/** A lookup's view (lookup/view.ts) as an event of its own. */
import { hex } from '../lib/random-bytes.ts';
import type { LookupView } from '../lookup/view.ts';
import type { DnsMessage, ResourceRecord } from '../model.ts';
import { errorName } from '../records/lookup-attributes.ts';
import { commText } from '../records/record-common.ts';
import { rfc3339 } from '../sinks/console/json.ts';
import { className, opcodeName } from '../tables/classes.ts';
import { rcodeName } from '../tables/rcodes.ts';
import { isAddressType, typeName } from '../tables/rrtypes.ts';
import type { LookupAnswer, LookupEvent, LookupQuestion } from './event.ts';
import { partsOf } from './process-parts.ts';

/** Questions, or answers: a message of 64 KB has room for thousands. */
const MAX_LISTED = 100;

const FLAGS = {
  aa: 'authoritative',
  tc: 'truncated',
  rd: 'recursionDesired',
  ra: 'recursionAvailable',
  ad: 'authenticData',
  cd: 'checkingDisabled',
} as const satisfies Record<string, keyof DnsMessage>;

/** @param isError as its record says (`--no-nxdomain-error`) */
export function makeEvent(lookup: LookupView, isError: boolean): LookupEvent {
  const { request, hasResponse, answer } = lookup;
  const { raw, message } = request;
  const questions = Object.freeze(lookup.asked.questions.slice(0, MAX_LISTED).map(questionOf));
  const answers = Object.freeze(hasResponse ? answer.message.answers.slice(0, MAX_LISTED).map(answerOf) : []);
  const rcode = hasResponse ? answer.message.rcode : -1;
  const { owner, trace, zone } = raw;
  const server = raw.dialed ?? raw.remote;
  return Object.freeze({
    uid: lookup.uid,
    time: rfc3339(raw.time),
    timestamp: raw.timeNumber / 1e6,
    question: questions[0],
    questions,
    outcome: lookup.outcome,
    reason: lookup.reason,
    responseCode: rcode < 0 ? undefined : rcodeName(rcode),
    error: isError ? (rcode < 0 ? lookup.outcome : errorName(rcode)) : undefined,
    answers,
    answerCount: hasResponse ? Math.max(answer.message.answerCount, lookup.answerRecords) : 0,
    addresses: Object.freeze(addressesIn(hasResponse ? answer.message.answers.slice(0, MAX_LISTED) : [])),
    durationMs: lookup.durationNs < 0 ? undefined : lookup.durationNs / 1e6,
    retries: lookup.retries,
    id: message.id < 0 ? undefined : message.id,
    opcode: opcodeName(Math.max(message.opcode, 0)),
    flags: Object.freeze(flagsOf(hasResponse ? answer.message : message)),
    server: Object.freeze(
      zone === undefined ? server : { address: `${server.address}%${zone}`, port: server.port },
    ),
    peer: raw.dialed === undefined ? undefined : Object.freeze(raw.remote),
    client: raw.localAny ? undefined : Object.freeze(raw.local),
    transport: raw.transport,
    malformed: (hasResponse ? answer.message.malformedReason : undefined) ?? message.malformedReason,
    conflictsWith: lookup.conflictsWith,
    search: lookup.search && Object.freeze({ base: lookup.search.base, step: lookup.search.step }),
    thread: owner && Object.freeze({ id: owner.tid, name: commText(owner.threadName) }),
    trace: trace && Object.freeze({ traceId: hex(trace.traceId), spanId: hex(trace.spanId) }),
    ...partsOf(lookup.process),
  });
}

function questionOf({ name, type, class: klass }: LookupView['asked']['questions'][number]): LookupQuestion {
  return Object.freeze({ name, type: typeName(type), class: className(klass) });
}

function answerOf({ name, type, class: klass, ttl, data }: ResourceRecord): LookupAnswer {
  return Object.freeze({ name, type: typeName(type), class: className(klass), ttl, data });
}

/** Not the damaged ones, whose data is in the form of RFC 3597. */
function addressesIn(records: readonly ResourceRecord[]): string[] {
  return records
    .filter(({ type, data }) => isAddressType(type) && !data.startsWith('\\#'))
    .map(({ data }) => data);
}

function flagsOf(message: DnsMessage): string[] {
  return Object.entries(FLAGS)
    .filter(([, field]) => message[field])
    .map(([name]) => name);
}
