/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * The wire between the kernel programs and user space: what one ring-buffer record holds.
 * This header is the only definition. The TypeScript layout (src/wire/layout.gen.ts) is generated from the BTF that the
 * compiler makes of it. All integers are native endian unless a field says "network order"; no hidden padding: largest
 * field first, sizes asserted below.
 */
#ifndef WHODNS_EVENT_H
#define WHODNS_EVENT_H

#include <linux/types.h>

#define COMM_LEN       16
#define INTERFACE_NAME 16
#define PATH_BYTES     1024 /* NUL-terminated path components, leaf first */
#define ARGS_BYTES     1024 /* argv as in mm->arg_start..arg_end: NUL-terminated strings */

/* What a ring record is: event_header.kind. */
enum event_kind {
	EVENT_MESSAGE = 1, /* struct message_event, [message_addresses,] [trace_context,] then the payload to the end */
	EVENT_PROCESS = 2, /* struct process_event, then its strings */
	EVENT_CONNECTION = 3, /* struct connection_event[, connection_addresses]; only when connections are asked for */
	EVENT_EXIT = 4,       /* struct exit_event */
	EVENT_OWNER = 5,      /* struct owner_event */
	EVENT_INTERFACE = 6,  /* struct interface_event */
};

/* Seen from the process that asks: event of a request goes out, of a response comes in. */
enum message_direction {
	DIRECTION_REQUEST = 1,
	DIRECTION_RESPONSE = 2,
};

enum hook_family {
	HOOK_FENTRY = 1,
	HOOK_KPROBE = 2,
	HOOK_TRACEPOINT = 3,
};

/* message_event.flags */
enum message_flags {
	MESSAGE_OWNER = 1 << 0,        /* the owner is known (read in the context of the sending or receiving task) */
	MESSAGE_OWNER_CACHED = 1 << 1, /* it was remembered for this socket: the packet left in softirq context */
	MESSAGE_STREAM_START = 1 << 2, /* TCP: the first payload byte of the connection in this direction */
	MESSAGE_STREAM_END = 1 << 3,   /* TCP: FIN or RST; payload may be empty. UDP: what was corked leaves */
	MESSAGE_MORE = 1 << 4,         /* UDP: MSG_MORE or UDP_CORK, the datagram continues with the next send */
	MESSAGE_UNREADABLE = 1 << 5,   /* not all could be read (page fault, iterator): payload < min(length, limit) */
	MESSAGE_DIALED = 1 << 6,       /* `dialed_*` is filled: the program connected to another address (NAT) */
	MESSAGE_LOCAL_ANY = 1 << 7,    /* the local address was not bound yet: it is unspecified */
	MESSAGE_TRACE = 1 << 8,        /* a struct trace_context stands before the payload */
	MESSAGE_ADDRESSES = 1 << 9,    /* a struct message_addresses stands behind the event; `*_ipv4` are 0 */
	/*
	 * UDP: an IP fragment of the datagram `sequence`. The first one has the ports, its payload begins with the UDP header, and
	 * `skipped` lies before that in what IP carries. Others have remote port 0, and `local_port` is their place: offset in units of
	 * 8 bytes, 0x2000: more follow.
	 */
	MESSAGE_FRAGMENT = 1 << 10,
	/* An ICMP error about a request instead of its answer; `sequence` is enum unreachable, the payload what it quotes of the request. */
	MESSAGE_UNREACHABLE = 1 << 11,
};

/* What a program is told of a request that does not arrive (errno). */
enum unreachable {
	UNREACHABLE_REFUSED = 1, /* ECONNREFUSED: no one listens there */
	UNREACHABLE_HOST = 2,    /* EHOSTUNREACH, EACCES */
	UNREACHABLE_NETWORK = 3, /* ENETUNREACH */
};

/*
 * The span that the sending thread was in: the first bytes of its thread context record (OTEP 4947) as they are, read in
 * its own send. All zero: none. Every message has one or none has (config.h, trace_bytes).
 */
struct trace_context {
	__u8 trace_id[16]; /* network order */
	__u8 span_id[8];
	__u8 valid; /* 1, or there is none */
	__u8 flags; /* W3C trace flags */
	__u8 reserved[6];
};

/*
 * Who: a thread as it was when it was looked at, read in the kernel in its own context. 88 bytes.
 *
 * Records name it by `id`. An EVENT_OWNER record tells what an id stands for, and is in the ring before the first record that
 * names it. Ids count up from 1, so that a table of OWNER_SLOTS entries, indexed by id modulo OWNER_SLOTS, holds all that
 * can still be named: an id that is more than OWNER_RENEWED behind the latest is given up for a new one before it is named again.
 * A thread that changes (its name, its user, a namespace) has a new id.
 */
enum owner_ids {
	OWNER_SLOTS = 16384,
	OWNER_RENEWED = 12288, /* the rest is for records that are under way on other CPUs meanwhile */
};

struct owner {
	__u64 start_time; /* thread group leader's start, ns of CLOCK_BOOTTIME; with tgid the identity of a process */
	__u64 cgroup_id;  /* cgroup v2 id of the task */
	__u32 tgid;       /* pid in the initial pid namespace */
	__u32 tid;
	__u32 ppid; /* real parent's tgid, initial pid namespace */
	__u32 vpid; /* tgid in the innermost pid namespace of the task */
	__u32 uid;  /* effective ids, initial user namespace */
	__u32 gid;
	__u32 pid_ns; /* namespace inode numbers */
	__u32 mnt_ns;
	__u32 net_ns;
	__u32 id;                   /* in EVENT_OWNER records */
	char comm[COMM_LEN];        /* the thread's name */
	char leader_comm[COMM_LEN]; /* the thread group leader's name */
};

struct event_header {
	__u64 time; /* ns of CLOCK_MONOTONIC (bpf_ktime_get_ns) */
	__u32 size; /* bytes of the whole event that are meaningful, this header included */
	__u16 kind; /* enum event_kind */
	__u8 hook;  /* enum hook_family */
	__u8 reserved;
};

/* What an id stands for from now on. */
struct owner_event {
	struct event_header header;
	struct owner owner;
};

/*
 * One datagram, one TCP segment or one TCP send/receive. The payload is DNS as the transport carries it: for TCP the
 * two-byte length prefix is part of the stream. 64 bytes.
 */
struct message_event {
	struct event_header header;
	__u64 socket;   /* socket cookie; 0 = unknown (received at packet level) */
	__u32 owner_id; /* MESSAGE_OWNER: struct owner; 0 = none */
	__u32 length;   /* payload bytes there were; what was captured of them goes to the end of the record */
	__u32
	    sequence; /* TCP: sequence number of the first payload byte. UDP requests: bytes of each datagram, 0: it is one */
	__u32 net_ns;      /* network namespace inode of socket or device */
	__u32 interface;   /* ifindex; at the socket hooks of requests to link-local addresses only, else 0 */
	__u32 local_ipv4;  /* network order, without MESSAGE_ADDRESSES */
	__u32 remote_ipv4; /* likewise */
	__u16 local_port;  /* host order */
	__u16 remote_port;
	__u16 dialed_port; /* MESSAGE_DIALED */
	__u16 flags;       /* enum message_flags */
	__u8 direction;    /* enum message_direction */
	__u8 protocol;     /* IPPROTO_UDP 17, IPPROTO_TCP 6 */
	__u8 family;       /* what the socket or packet is: 4 or 6 (a v4-mapped address on an AF_INET6 socket is 4) */
	__u8 skipped;      /* MESSAGE_FRAGMENT: extension headers, in units of 8 bytes */
};

/* MESSAGE_ADDRESSES: of messages of family 6, and of those with MESSAGE_DIALED. Network order; IPv4 as ::ffff:a.b.c.d. */
struct message_addresses {
	__u8 local_address[16];
	__u8 remote_address[16];
	__u8 dialed_address[16]; /* MESSAGE_DIALED: what the program connected to */
};

/*
 * What a device is called: in the ring before the first request by it to an address that means something only with its zone
 * (RFC 4007), and again where it has another name.
 */
struct interface_event {
	struct event_header header;
	__u32 net_ns;
	__u32 index;
	char name[INTERFACE_NAME]; /* NUL-padded */
};

/* connection_event.flags */
enum connection_flags {
	CONNECTION_OWNER = 1 << 0, /* the owner is known; not so for connections of the kernel itself */
};

/* A TCP connection that begins; whether the other side accepts it is not known yet. */
struct connection_event {
	struct event_header header;
	__u64 socket;      /* socket cookie; 0 = unknown (before 5.12) */
	__u32 owner_id;    /* CONNECTION_OWNER: struct owner; 0 = none */
	__u32 net_ns;      /* network namespace inode of the socket */
	__u32 local_ipv4;  /* family 4, network order */
	__u32 remote_ipv4; /* likewise */
	__u16 local_port;  /* host order; 0 = not chosen yet */
	__u16 remote_port; /* before destination NAT */
	__u8 flags;        /* enum connection_flags */
	__u8 family;       /* 4 or 6 (a v4-mapped address on an AF_INET6 socket is 4) */
	__u8 reserved[2];
};

/* Behind connections of family 6. Network order. */
struct connection_addresses {
	__u8 local_address[16];
	__u8 remote_address[16];
};

/*
 * A process or a cgroup seen for the first time. Strings follow in this order, each `*_bytes` long:
 * executable path, arguments, working directory, cgroup path, environment. Paths are components, leaf first, each
 * NUL-terminated; the last component may be cut (PROCESS_*_CUT). Of the environment there are the variables OTEL_SERVICE_NAME
 * and OTEL_RESOURCE_ATTRIBUTES, as the process was given them: NAME=value, NUL-terminated.
 */
enum process_flags {
	PROCESS_EXE_CUT = 1 << 0,
	PROCESS_ARGS_CUT = 1 << 1,
	PROCESS_CWD_CUT = 1 << 2,
	PROCESS_CGROUP_CUT = 1 << 3,
	PROCESS_EXE_DELETED = 1 << 4, /* the executable has no link left, or lies in a memory file */
	PROCESS_KERNEL_THREAD = 1 << 5,
	PROCESS_CGROUP_V1 = 1 << 6,   /* cgroup path comes from a v1 controller (hybrid hosts) */
	PROCESS_ENVIRONMENT = 1 << 7, /* the whole environment was looked at: what is not here is not in it */
};

struct process_event {
	struct event_header header;
	__u64 exe_inode;
	__u32 flags; /* enum process_flags */
	__u32 tty;   /* device number of the controlling terminal, 0 = none */
	__u16 exe_bytes;
	__u16 args_bytes;
	__u16 cwd_bytes;
	__u16 cgroup_bytes;
	__u32 args_length; /* arg_end - arg_start: how long the arguments are in truth */
	__u16 environment_bytes;
	__u16 reserved;
	__u32 owner_id; /* struct owner */
	__u32 reserved2;
	char parent_comm[COMM_LEN];
};

_Static_assert(sizeof(struct event_header) == 16, "event_header");
_Static_assert(sizeof(struct owner) == 88, "owner");
_Static_assert(sizeof(struct owner_event) == 16 + 88, "owner_event");
_Static_assert(sizeof(struct message_event) == 64, "message_event");
_Static_assert(sizeof(struct message_addresses) == 48, "message_addresses");
_Static_assert(sizeof(struct interface_event) == 40, "interface_event");
_Static_assert(sizeof(struct connection_event) == 48, "connection_event");
_Static_assert(sizeof(struct connection_addresses) == 32, "connection_addresses");
_Static_assert(sizeof(struct trace_context) == 32, "trace_context");
_Static_assert(sizeof(struct process_event) == 16 + 8 + 8 + 8 + 8 + 8 + 16, "process_event");

/* Why a wanted message did not reach the ring. Index of the per-CPU `drops` map. What they mean: src/tables/drops-kernel.ts. */
enum drop_reason {
	DROP_RING_FULL = 0,         /* a request found no room */
	DROP_PROCESS_RING_FULL = 1, /* a process record found no room: /proc fills the gap */
	DROP_PROCESS_TABLE_FULL =
	    2, /* the per-process map is full: the message is captured, its process announced but not counted */
	DROP_PAYLOAD_UNREADABLE = 3, /* captured with MESSAGE_UNREADABLE */
	DROP_NO_OWNER = 4, /* a request whose owner is not known, or found no room: captured without MESSAGE_OWNER */
	DROP_RECEIVE_STATE = 5,        /* receive: entry state missing at the function's return, bytes not seen */
	DROP_CONNECTION_RING_FULL = 6, /* a connection event found no room */
	DROP_RESPONSE_RING_FULL = 7,   /* a response found no room */
	DROP_REQUEST_SUPPRESSED = 8,   /* a request of a workload that is over its share (share.h) */
	DROP_RESPONSE_SUPPRESSED = 9,  /* a response for such a workload, or to a request that was left out */
	DROP_CONNECTION_SUPPRESSED = 10,
	DROP_REASON_MAX = 11,
};

/* What was seen. Index of the per-CPU `counters` map. */
enum counter {
	COUNTER_REQUESTS = 0,  /* wanted request events (UDP datagrams, TCP pieces with payload, ends of streams) */
	COUNTER_RESPONSES = 1, /* wanted response events */
	COUNTER_SUBMITTED = 2, /* message events put into the ring */
	COUNTER_PROCESSES = 3, /* process records put into the ring */
	COUNTER_SKIPPED = 4,   /* calls that were not DNS */
	COUNTER_SELF = 5,      /* the agent's own messages and connections, left out */
	COUNTER_UNMATCHED = 6, /* responses nobody here asked for (packet level), left out */
	COUNTER_DUPLICATE_DEVICE = 7, /* the same packet on a stacked device, left out */
	COUNTER_CONNECTIONS = 8,      /* wanted connection events, whether or not they found room in the ring */
	COUNTER_LOOPBACK = 9,         /* connections to 127.0.0.0/8 and ::1, left out */
	COUNTER_OFF = 10,             /* requests of workloads that are off, left out */
	COUNTER_METRICS_ONLY = 11,    /* requests of workloads that are only counted */
	COUNTER_EXITS = 12,           /* exit events put into the ring */
	COUNTER_EXITS_UNTOLD = 13,    /* exits that the ring had no room for: counted in the map `gone` all the same */
	COUNTER_REFUSED = 14, /* received packets that the kernel drops as damaged or forged (accept.h), left out */
	COUNTER_MAX = 15,
};

/* What user space says of a control group: value of the map `visibility`. */
enum visibility_level {
	VISIBILITY_OFF = 1,     /* no event, no process record, no count by process */
	VISIBILITY_METRICS = 2, /* counted by process; a process record, no message events */
	VISIBILITY_ON = 3,
};

/*
 * How much of something that fills and drains (the ring's bytes, a share's budget) somebody has in it, at most: what he put
 * there since `mark`, and in the time before it (share.h, still_there).
 */
struct use {
	__u64 mark;   /* how much all had put there when `now` began */
	__u32 before; /* until then */
	__u32 now;
};

struct uses {
	struct use ring;   /* bytes */
	struct use budget; /* records */
};

/* Who shares the ring with others: a control group and a user in it. Key of the map `shares`. */
struct share_key {
	__u64 cgroup_id; /* the group that is charged, not always the task's own */
	__u32 user;      /* SHARE_CONTAINER, or a user id of the initial user namespace */
	__u32 reserved;
};

#define SHARE_CONTAINER 0xffffffffu /* whoever it is in there: root in a container can be any user */

/* Shares of those who have none of their own. Index of the array `common_shares`. */
enum common_share {
	COMMON_UNKNOWN = 0,    /* whose message it is is not known */
	COMMON_UNASKED = 1,    /* more answers than were asked for */
	COMMON_TABLE_FULL = 2, /* no room for another share */
	COMMON_TOO_DEEP = 3,   /* control groups nested deeper than SHARE_DEPTH_MAX */
	COMMON_SHARE_MAX = 4,
};

/* Value of `shares` and `common_shares`. */
struct share_value {
	__u64 time;                /* CLOCK_MONOTONIC ns up to which `drained` was computed */
	__u64 drained;             /* of `taken`, what the rate has given back since */
	__u64 taken;               /* records admitted, ever */
	__u64 since;               /* CLOCK_MONOTONIC ns of the first message left out; user space sets it to 0 */
	__u64 suppressed_requests; /* left out, ever */
	__u64 suppressed_responses;
	__u64 suppressed_connections;
	struct use ring;       /* bytes */
	struct uses newcomers; /* of processes not known for long, together */
	__u32 rate;            /* records a second; 0: no bound */
	__u32 burst;
	__u32 generation; /* of the rates, when these were found */
	__u32 waiting;    /* connections whose source port is not chosen yet */
};

/* Another rate than the general one. Value of the map `rates`, by control group; it holds for all below it together. */
struct share_rate {
	__u32 rate;
	__u32 burst;
};

#define TOLD_THREADS 4

/* Per-process counters, exact and independent of the ring. Key and value of the `processes` hash map. */
struct process_key {
	__u64 start_time;
	__u32 tgid;
	__u32 reserved;
};

struct process_value {
	__u64 udp_requests;  /* datagrams sent to a DNS port */
	__u64 tcp_requests;  /* TCP pieces with payload sent to a DNS port */
	__u64 request_bytes; /* payload */
	__u64 last_seen;     /* CLOCK_MONOTONIC ns */
	__u64 cgroup_id;
	__u32 announced;        /* 1 = its process record is in the ring */
	__u32 exec_id;          /* which exec of the process the record is of: another one is announced again */
	struct share_key share; /* with `ppid` the key of the map `parents` */
	__u64 ppid;             /* at first sight */
	__u64 created;          /* CLOCK_MONOTONIC ns */
	struct uses uses;
	__s32 credit;             /* records it may send without asking its share */
	__u32 batch;              /* how many it asks for at once */
	__u32 owed;               /* socket hooks: answers that its requests have paid for */
	__u32 generation;         /* of the rates, when `share` was found */
	__u64 told[TOLD_THREADS]; /* what the ring was told of its threads: by tid, ids and sums (owner_ids.h) */
	__u16 found;              /* 1 = `share` was found, in the process's own context */
	__u16 exited;             /* 1 = the process is gone, and counted in `gone`: user space removes the entry */
	__u32 settled;            /* 1 = no newcomer any more (share.h) */
	__u32 waiting;            /* connections whose source port is not chosen yet */
	__u32 reserved;
};

/* What processes that are gone had counted, all together. Index of the per-CPU map `gone`. */
enum gone {
	GONE_UDP_REQUESTS = 0,
	GONE_TCP_REQUESTS = 1,
	GONE_REQUEST_BYTES = 2,
	GONE_PROCESSES = 3,
	GONE_MAX = 4,
};

/* A process that has sent DNS messages is gone. */
struct exit_event {
	struct event_header header;
	struct process_key process;
	struct process_value counted;
};

/*
 * Where the threads of a process keep the pointer to their thread context record: value of the map `trace_places`, by
 * struct process_key. Written by user space, from what it read in the process: every number in it is hostile.
 */
struct trace_place {
	__s64 offset; /* of the pointer: from the thread pointer, or in its module's block */
	__u32 module; /* 0: at a fixed offset from the thread pointer; else the module's index in the thread's vector */
	__s32 vector; /* where, from the thread pointer, the address of that vector (DTV) is */
	__s32 length; /* where, from the vector, the highest index in use is */
	__u32 step;   /* bytes of an entry */
};

_Static_assert(sizeof(struct trace_place) == 24, "trace_place");
_Static_assert(sizeof(struct share_value) == 56 + 16 + 32 + 16, "share_value");
_Static_assert(sizeof(struct process_value) == 48 + 24 + 8 + 32 + 24 + 8 * TOLD_THREADS + 8, "process_value");

#endif
