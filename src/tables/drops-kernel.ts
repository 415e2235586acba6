/** What the capture loses before a stage sees it: stage `kernel`. Its counters are `enum drop_reason` of bpf/event.h. */
import type { Drops } from './drop-definition.ts';

const RING = 'Give the ring more room (`--ring-bytes`). See who asks so much: `whodns stats`.';
const BUDGET =
  'See who it is: the record `whodns.suppressed` is on its resource. Give that workload more (`--cgroup-rate`), or stop its flood.';

export const KERNEL_DROPS = {
  ring_full: { cost: 'record', description: 'The ring was full: a request found no room.', action: RING },
  response_ring_full: {
    cost: 'answer',
    description: 'The ring was full: an answer found no room.',
    action: RING,
  },
  connection_ring_full: {
    cost: 'record',
    description: 'The ring was full: a connection found no room (`--connections`).',
    action: RING,
  },
  process_ring_full: {
    cost: 'detail',
    description:
      'The ring was full: what identifies a process found no room. `/proc` fills the gap where the process lives long enough.',
    action: RING,
  },
  process_table_full: {
    cost: 'detail',
    description:
      'More processes than the table of counters holds: the message is captured, its process is not counted.',
    action: 'None, unless `whodns.process.queries` is used: those processes are missing there.',
  },
  payload_unreadable: {
    cost: 'detail',
    description:
      'The bytes of a message could not be read: the record says that there was one (`whodns.malformed`).',
    action:
      'See `whodns doctor`: before kernel 6.12, and on machines other than x86-64, page fragments cannot be read everywhere.',
  },
  no_owner: {
    cost: 'detail',
    description: 'A request left without a known owner: the record has no process.',
    action:
      'See `whodns doctor`: what the hook family cannot see. Another family (`--hook`) may know the owner.',
  },
  receive_state: {
    cost: 'answer',
    description:
      'Bytes of a TCP connection went to a program by no receive that was seen: its lookups are `unknown`, `stream_gap`.',
    action:
      'A program splices out of its connection to a name server, or more threads receive at once than the table holds. Nothing to set.',
  },
  request_suppressed: {
    cost: 'record',
    description: 'A workload was over its budget: a request was left out, so that others lose nothing.',
    action: BUDGET,
  },
  response_suppressed: {
    cost: 'answer',
    description: 'A workload was over its budget: an answer was left out.',
    action: BUDGET,
  },
  connection_suppressed: {
    cost: 'record',
    description: 'A workload was over its budget: a connection was left out.',
    action: BUDGET,
  },
} as const satisfies Drops;

/** Of a capture file: datagrams whose fragments could not be put together. */
export const FRAGMENT_DROPS = {
  fragment_overlap: {
    cost: 'record',
    description: 'Fragments of a datagram contradict each other (RFC 5722).',
    action: 'None: no host takes such a datagram. Somebody may be trying to hide one.',
  },
  fragment_too_long: {
    cost: 'record',
    description: 'Fragments of a datagram reach beyond 65 535 bytes.',
    action: 'None: no host takes such a datagram.',
  },
  fragment_count: {
    cost: 'record',
    description: 'A datagram in more fragments than are kept.',
    action: 'None: no sender has a reason for it.',
  },
  fragment_no_first: {
    cost: 'record',
    description: 'The first fragment of a datagram is not in the file.',
    action: 'Capture without a filter on ports: only the first fragment has them.',
  },
} as const satisfies Drops;
