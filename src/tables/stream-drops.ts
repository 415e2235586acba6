/** Why `streams/` gave no message for a piece: the words of its stage in the ledger. */
export const STREAM_DROPS = {
  'stream-unsynchronized':
    'TCP bytes outside any known message: attached in mid-stream, or bytes before them were not seen.',
  'stream-gap': 'TCP bytes went missing and took the start of a message with them.',
  'stream-gap-answers':
    'Answers that lay in missing TCP bytes: as many as the connection has requests without one.',
  'stream-unfinished': 'A TCP stream ended, or the capture did, in the middle of a message.',
  'stream-replaced': 'Another connection with the same addresses and ports began.',
  'stream-idle': 'A TCP stream was silent too long in the middle of a message.',
  'streams-full':
    'Too many TCP streams: the least recently used of who had most was forgotten in the middle of a message.',
  'stream-bytes-full': 'Streams held too many bytes: the least recently used of who had most was forgotten.',
  'datagram-unfinished': 'A corked UDP datagram (MSG_MORE) was never sent, or its last piece was not seen.',
  'datagram-too-long': 'A corked UDP datagram grew beyond 65 535 bytes.',
  'datagrams-full': 'Too many corked UDP datagrams: the oldest of who had most was forgotten.',
  'fragments-unfinished':
    'An answer in IP fragments, not all of which came; or too many waited for the rest.',
  'fragment-overlap': 'IP fragments of an answer overlapped: the kernel drops it too (RFC 5722).',
  'fragment-too-long': 'IP fragments of an answer went beyond 65 535 bytes: the kernel drops it too.',
  'fragment-count': 'An answer in too many IP fragments.',
  'fragment-no-first': 'An IP fragment whose datagram was dropped with it, before its first fragment came.',
} as const;

/** What `streams/` leaves out on purpose. */
export const STREAM_FILTERS = {
  joined: 'The piece only added to a message that is counted once.',
  retransmission: 'Every byte of the piece was seen before.',
  control: 'A piece without payload (SYN, FIN, RST).',
  'other-fragment': 'An IP fragment of a server that was asked, but of no answer.',
  refused: 'An answer put together from IP fragments that the kernel drops, for its length or its checksum.',
} as const;

export type StreamDrop = keyof typeof STREAM_DROPS;
