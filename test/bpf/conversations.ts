/** Compares what was captured with what traffic.py says it did. */
import { type Captured, FLAG, type Message } from './capture.ts';

/** A line of traffic.py's output. */
export interface Conversation {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  readonly protocol: 'udp' | 'tcp';
  readonly family: number;
  /** Hexadecimal; of TCP the whole stream. */
  readonly requests: readonly string[];
  readonly responses: readonly string[];
}

export interface ClientRun {
  readonly client: string;
  readonly pid: number;
}

export function parseTraffic(text: string): { conversations: Conversation[]; clients: ClientRun[] } {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Conversation | ClientRun);
  return {
    conversations: lines.filter((line) => 'name' in line),
    clients: lines.filter((line) => 'client' in line),
  };
}

/** Everything that differs from exactly one event per datagram and exactly the bytes of each stream; [] = nothing. */
export function faultsOf(
  captured: Captured,
  conversations: readonly Conversation[],
  clients: readonly ClientRun[],
): string[] {
  const left = new Set(captured.messages);
  const faults: string[] = [];
  for (const conversation of conversations) {
    const found =
      conversation.protocol === 'udp' ? datagrams(left, conversation) : stream(left, conversation);
    faults.push(...found.map((fault) => `${conversation.name}: ${fault}`));
  }
  for (const client of clients) {
    const own = [...left].filter(
      (message) => message.owner.tgid === client.pid && message.direction === 'request',
    );
    if (own.length === 0) faults.push(`${client.client}: no request`);
    const ports = new Set(own.map((message) => `${message.protocol} ${message.local_port}`));
    const all = [...left].filter((message) => ports.has(`${message.protocol} ${message.local_port}`));
    if (!all.some((message) => message.direction === 'response'))
      faults.push(`${client.client}: no response`);
    for (const message of all) left.delete(message);
    const records = captured.processes.filter((process) => process.owner.tgid === client.pid);
    const [program] = client.client.split(' ');
    const record = records.find((process) => process.exe.endsWith(`/${program}`));
    if (record?.args.join(' ') !== client.client) faults.push(`${client.client}: ${JSON.stringify(records)}`);
  }
  for (const message of left) {
    /* The process that asked is gone; at packet level its answer is seen none the less. */
    if (message.direction === 'response' && message.hook === 3 && isAnswerTo(message, conversations))
      continue;
    faults.push(`nobody sent ${JSON.stringify(message).slice(0, 500)}`);
  }
  return faults;
}

function isAnswerTo(message: Message, conversations: readonly Conversation[]): boolean {
  return conversations.some(
    ({ requests, responses }) =>
      responses.length === 0 && requests.some((request) => request.slice(24) === message.payload.slice(24)),
  );
}

function datagrams(left: Set<Message>, conversation: Conversation): string[] {
  const faults: string[] = [];
  for (const direction of ['request', 'response'] as const) {
    for (const payload of conversation[`${direction}s`]) {
      const found = [...left].filter(
        (message) =>
          message.protocol === 17 && message.direction === direction && message.payload === payload,
      );
      const [message] = found;
      if (message === undefined || found.length > 1) {
        faults.push(`${found.length} events of a ${direction} of ${payload.length / 2} bytes`);
        continue;
      }
      left.delete(message);
      if (message.family !== conversation.family) faults.push(`${direction} is of family ${message.family}`);
      if (message.remote_port !== 53) faults.push(`${direction} has remote port ${message.remote_port}`);
      if (direction === 'request') faults.push(...ownerFaults(message, conversation));
    }
  }
  return faults;
}

function ownerFaults(message: Message, { pid, tid, comm }: Conversation): string[] {
  const { owner } = message;
  if (!(message.flags & FLAG.owner)) return ['request without owner'];
  if (owner.tgid !== pid || owner.tid !== tid)
    return [`owner is ${owner.tgid}/${owner.tid}, not ${pid}/${tid}`];
  if (owner.comm !== comm) return [`thread is ${owner.comm}, not ${comm}`];
  return [];
}

/** The connection of a conversation is the one whose request stream equals it. */
function stream(left: Set<Message>, conversation: Conversation): string[] {
  const tcp = [...left].filter((message) => message.protocol === 6 && message.family === conversation.family);
  const ports = [...new Set(tcp.map((message) => message.local_port))];
  const bytes = (port: number, direction: string): [string, Message[]] => {
    const pieces = tcp
      .filter(
        (message) => message.local_port === port && message.direction === direction && message.length > 0,
      )
      .sort((a, b) => (a.sequence - b.sequence) | 0)
      .filter((piece, index, all) => piece.sequence !== all[index - 1]?.sequence); // sent again
    return [pieces.map((piece) => piece.payload).join(''), pieces];
  };
  const found = ports.filter((port) => bytes(port, 'request')[0] === conversation.requests[0]);
  const [port] = found;
  if (port === undefined || found.length > 1) return [`${found.length} connections with its request`];
  const [, requests] = bytes(port, 'request');
  const [reply, responses] = bytes(port, 'response');
  const faults: string[] = [];
  if (reply !== conversation.responses[0])
    faults.push(`response stream of ${reply.length / 2} bytes differs`);
  for (const pieces of [requests, responses]) {
    const starts = pieces.map((piece) => (piece.flags & FLAG.streamStart) !== 0);
    if (starts.indexOf(true) !== 0 || starts.lastIndexOf(true) !== 0)
      faults.push(`stream starts at ${starts}`);
  }
  const all = tcp.filter((message) => message.local_port === port);
  if (!all.some((message) => message.flags & FLAG.streamEnd)) faults.push('no end of stream');
  for (const request of requests) faults.push(...ownerFaults(request, conversation));
  for (const message of all) left.delete(message);
  return faults;
}
