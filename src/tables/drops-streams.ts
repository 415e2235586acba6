/** Why bytes of the capture gave no message (stages `wire` and `streams`). */
import type { Drops, Filters } from './drop-definition.ts';

const DAMAGED = 'Report it: the agent and its kernel programs are of different builds, or memory is damaged.';
const BOUND = '`whodns stats` says whose share was full. The bound is fixed (docs/operating.md).';

export const WIRE_DROPS = {
  cut: {
    cost: 'record',
    description:
      'A batch ends, or claims to, in the middle of an event: what follows is lost, counted as one.',
    action: DAMAGED,
  },
  kind: { cost: 'record', description: 'An event of no known kind.', action: DAMAGED },
  field: { cost: 'record', description: 'A field of an event has a value it cannot have.', action: DAMAGED },
} as const satisfies Drops;

export type WireDrop = keyof typeof WIRE_DROPS;

export const STREAM_DROPS = {
  stream_unsynchronized: {
    cost: 'record',
    description:
      'TCP bytes outside any known message: attached in mid-stream, or bytes before them were not seen.',
    action:
      'Expected once for each connection that is older than the agent. If it goes on, look at stage `kernel`.',
  },
  stream_gap: {
    cost: 'record',
    description: 'TCP bytes went missing and took the start of a message with them.',
    action: 'Look at `whodns.dropped` of stage `kernel`: what was lost there leaves gaps here.',
  },
  stream_gap_answers: {
    cost: 'record',
    description: 'Answers that lay in missing TCP bytes: as many as the connection has requests without one.',
    action: 'Look at `whodns.dropped` of stage `kernel`: what was lost there leaves gaps here.',
  },
  stream_unfinished: {
    cost: 'record',
    description: 'A TCP stream ended, or the capture did, in the middle of a message.',
    action: 'None: a peer broke off.',
  },
  stream_replaced: {
    cost: 'record',
    description: 'Another connection with the same addresses and ports began.',
    action: 'None: the end of the first one was not seen.',
  },
  stream_idle: {
    cost: 'record',
    description: 'A TCP stream was silent too long in the middle of a message.',
    action: 'None: a peer stopped sending.',
  },
  streams_full: {
    cost: 'record',
    description:
      'Too many TCP streams: the least recently used of who had most was forgotten in the middle of a message.',
    action: BOUND,
  },
  stream_bytes_full: {
    cost: 'record',
    description: 'Streams held too many bytes: the least recently used of who had most was forgotten.',
    action: BOUND,
  },
  datagram_unfinished: {
    cost: 'record',
    description: 'A corked UDP datagram (MSG_MORE) was never sent, or its last piece was not seen.',
    action: 'None: most likely the program gave up.',
  },
  datagram_too_long: {
    cost: 'record',
    description: 'A corked UDP datagram grew beyond 65 535 bytes.',
    action: 'None: the kernel refuses to send it.',
  },
  datagrams_full: {
    cost: 'record',
    description: 'Too many corked UDP datagrams: the oldest of who had most was forgotten.',
    action: BOUND,
  },
  fragments_unfinished: {
    cost: 'record',
    description: 'An answer in IP fragments, not all of which came; or too many waited for the rest.',
    action:
      'None: most likely the network lost one. Large answers over UDP do better without fragments (DNS flag day 2020).',
  },
  fragment_overlap: {
    cost: 'record',
    description: 'IP fragments of an answer overlapped: the kernel drops it too (RFC 5722).',
    action: 'Look at who sends them: no sender does so by mistake.',
  },
  fragment_too_long: {
    cost: 'record',
    description: 'IP fragments of an answer went beyond 65 535 bytes: the kernel drops it too.',
    action: 'Look at who sends them: no sender does so by mistake.',
  },
  fragment_count: {
    cost: 'record',
    description: 'An answer in more than 128 IP fragments.',
    action: 'None: no link has so small a size.',
  },
  fragment_no_first: {
    cost: 'record',
    description: 'An IP fragment whose datagram was dropped before its first fragment came.',
    action: 'None.',
  },
} as const satisfies Drops;

/** What `streams/` leaves out on purpose. */
export const STREAM_FILTERS = {
  joined: 'The piece only added to a message that is counted once.',
  retransmission: 'Every byte of the piece was seen before.',
  control: 'A piece without payload (SYN, FIN, RST).',
  other_fragment: 'An IP fragment of a server that was asked, but of no answer.',
  refused: 'An answer put together from IP fragments that the kernel drops, for its length or its checksum.',
} as const satisfies Filters;

export type StreamDrop = keyof typeof STREAM_DROPS;
