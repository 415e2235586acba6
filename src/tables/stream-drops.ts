/** Why `streams/` gave no message for a piece: the words of its stage in the ledger. */
export const STREAM_DROPS = {
  'stream-unsynchronized':
    'TCP bytes outside any known message: attached in mid-stream, or the copy limit hid a length prefix.',
  'stream-gap': 'TCP bytes went missing and took the start of a message with them.',
  'stream-unfinished': 'A TCP stream ended, or the capture did, in the middle of a message.',
  'stream-replaced': 'Another connection with the same addresses and ports began.',
  'stream-idle': 'A TCP stream was silent too long in the middle of a message.',
  'streams-full':
    'Too many TCP streams: the least recently used of who had most was forgotten in the middle of a message.',
  'stream-bytes-full': 'Streams held too many bytes: the least recently used of who had most was forgotten.',
  'datagram-unfinished': 'A corked UDP datagram (MSG_MORE) was never sent, or its last piece was not seen.',
  'datagram-too-long': 'A corked UDP datagram grew beyond 65 535 bytes.',
  'datagrams-full': 'Too many corked UDP datagrams: the oldest of who had most was forgotten.',
} as const;

/** What `streams/` leaves out on purpose. */
export const STREAM_FILTERS = {
  joined: 'The piece only added to a message that is counted once.',
  retransmission: 'Every byte of the piece was seen before.',
  control: 'A piece without payload (SYN, FIN, RST).',
} as const;

export type StreamDrop = keyof typeof STREAM_DROPS;
