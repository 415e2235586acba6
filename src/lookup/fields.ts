/**
 * One captured message without its bytes as a run of 32-bit words: the same layout in the piece that is just read, in the slab of
 * requests in flight and in a lookup that is kept. Nothing of it is an object, so that a message makes no garbage. What is not a
 * number (owner, trace context) stands beside it.
 */

/** Indices of the words of one message. 64-bit values are two words, the lower first. */
export const FIELD = {
  /** Unix ns. */
  TIME: 0,
  /** Socket cookie; 0 = unknown. */
  SOCKET: 2,
  NETWORK_NAMESPACE: 4,
  /** Local port, remote port << 16. */
  PORTS: 5,
  /** FIELD_BITS. */
  BITS: 6,
  /** Port that the program dialled, HOOKS index << 16. */
  DIALED_PORT: 7,
  /** DNS payload bytes there were, and how many were captured. */
  LENGTH: 8,
  CAPTURED: 9,
  /** TCP sequence number. FRAGMENT: of the datagram. UNREACHABLE: enum unreachable of bpf/event.h. */
  SEQUENCE: 10,
  /** Interface index, 0 = unknown. FRAGMENT, the first: bytes before its UDP header. */
  INTERFACE: 11,
  /** Addresses: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
  LOCAL: 12,
  REMOTE: 16,
  DIALED: 20,
} as const;

/** Words of one message. */
export const MESSAGE_WORDS = 24;

export const FIELD_BITS = {
  RESPONSE: 1,
  TCP: 2,
  IPV6: 4,
  LOCAL_ANY: 8,
  DIALED: 16,
  STREAM_START: 32,
  STREAM_END: 64,
  MORE: 128,
  UNREADABLE: 256,
  /** RawMessage.fragment. */
  FRAGMENT: 512,
  /** RawMessage.unreachable; of a request in flight: the error came. */
  UNREACHABLE: 1024,
} as const;
