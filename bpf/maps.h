/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* Every map: its bound, its eviction, and what happens when it is full. */
#ifndef WHODNS_MAPS_H
#define WHODNS_MAPS_H

#include "event.h"
#include "kernel.h"
#include <bpf/bpf_helpers.h>

/* Records for user space. 16 MiB unless the loader resizes it. Full: the record is lost and counted (drops.h). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} events SEC(".maps");

/* enum counter, enum drop_reason. Arrays: never full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTER_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DROP_REASON_MAX);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

/*
 * Counters and budget per process, removed when it is gone (exit.h). Full of living processes: DROP_PROCESS_TABLE_FULL, the message is captured and
 * its process announced with each, but not counted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct process_key);
	__type(value, struct process_value);
} processes SEC(".maps");

/* enum gone: what processes that are gone had counted, all together. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GONE_MAX);
	__type(key, __u32);
	__type(value, __u64);
} gone SEC(".maps");

/*
 * Shares of the ring and budgets (share.h). User space removes those that are idle: a full budget is the same as a new one.
 * Full: COMMON_TABLE_FULL, newcomers have one share together, those in the table keep theirs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct share_key);
	__type(value, struct share_value);
} shares SEC(".maps");

/* enum common_share. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COMMON_SHARE_MAX);
	__type(key, __u32);
	__type(value, struct share_value);
} common_shares SEC(".maps");

/*
 * What new processes of one parent use of their share. Oldest evicted: it counts from zero again, within what its share has
 * for newcomers.
 */
struct parent_key { /* as in struct process_value */
	struct share_key share;
	__u64 ppid;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct parent_key);
	__type(value, struct uses);
} parents SEC(".maps");

/* Other rates, by control group (cgroup v2 id), written by user space. Oldest evicted: it has the general rate again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct share_rate);
} rates SEC(".maps");

/* Counts the changes of `rates`: user space writes there first, then here. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} rates_generation SEC(".maps");

#define STRINGS_BYTES 4096 /* all strings of a process record: one offset, masked, walks through them */

struct process_record {
	struct process_event event;
	char strings[STRINGS_BYTES + ARGS_BYTES]; /* slack: the last piece may start anywhere below STRINGS_BYTES */
};

/* What the ring has told of a thread (owner_ids.h), by pid_tgid. Oldest evicted: it is told once more, with a new id. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OWNER_SLOTS);
	__type(key, __u64);
	__type(value, __u64);
} owners_told SEC(".maps");

/*
 * Where a process record is put together, since only then is it known how much room it needs. A program can be preempted
 * there, and another on the same CPU want the same: hence several places. `claims`: how many programs want this one. Each
 * counts itself in before it looks, so that at most one finds itself alone. All taken: DROP_PROCESS_RING_FULL.
 */
#define SCRATCHES 4

struct process_scratch {
	struct process_record record;
	__u64 claims;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, __u32);
	__type(value, struct process_scratch);
} process_scratch SEC(".maps");

/*
 * What holds at a control group (cgroup v2 id) and below it, enum visibility_level: written by user space alone, one entry
 * each for the root, pods and containers. Full: user space is told, and leaves out by itself what the kernel then lets
 * through.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u32);
} visibility SEC(".maps");

/* Counts the changes of `visibility`: user space writes there first, then here. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} visibility_generation SEC(".maps");

/*
 * The level found for a task's own group, as long as the generation is the same. Oldest evicted: it is found anew, by a walk
 * over the groups above it.
 */
struct visibility_level_value {
	__u32 level;
	__u32 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct visibility_level_value);
} visibility_levels SEC(".maps");

/*
 * Tracepoint family. Whose the packets are that leave in softirq context: of a TCP socket (key: its address) from the SYN
 * on, refreshed by each send; of a packet that waits for its neighbour (key: sender.h, waiting_packet). Oldest evicted:
 * such a packet is then captured without owner (DROP_NO_OWNER).
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct owner);
} owners SEC(".maps");

/*
 * Tracepoint family. Sequence number of the first payload byte of a TCP socket (key: its address), by the SYN. Oldest
 * evicted: its stream has no MESSAGE_STREAM_START.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} streams SEC(".maps");

/*
 * Tracepoint family. What was asked for here, so that a received packet that no one here asked for costs one look-up.
 * Only requests within their share are remembered, and there is room for more than one share's burst: a single workload
 * cannot evict what others wait for within a time-out. Oldest evicted: its answer is then COUNTER_UNMATCHED.
 */
struct asked_key {
	__u8 remote_address[16];
	__u32 net_ns;
	__u16 local_port;
	__u16 remote_port;
	__u32 protocol;
};

struct asked_value {
	__u64 socket;         /* struct sock * that asked last from there; it may be gone */
	__u32 first_sequence; /* of the TCP stream that comes back; valid when `handshake` */
	__u32 handshake;
	__u32 owed;                 /* answers that admitted requests have paid for */
	__u32 skipped;              /* requests that were left out: so are their answers */
	struct process_key process; /* who asked last */
};

/* Keyed by asked_sum: the kernel hashes and compares a key whole, on some kernels byte by byte. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536); /* as --max-in-flight */
	__type(key, __u64);
	__type(value, struct asked_value);
} asked SEC(".maps");

/*
 * Tracepoint family. Requests whose destination was translated: what the program dialled, and where the request went
 * instead. Where the answer is translated back before it is received (loopback: Docker's resolver), it comes from the
 * former. Oldest evicted: its answer is then COUNTER_UNMATCHED.
 */
struct translated_value {
	__u8 remote_address[16];
	__u32 remote_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct asked_key);
	__type(value, struct translated_value);
} translated SEC(".maps");

/*
 * Tracepoint family. Connections whose source port is not chosen yet, by the address of their socket (connect.h). Each leaves when its
 * SYN does, or when its socket leaves SYN_SENT. A share, and each of its processes, has SHARE_TIMES as many as there are free, not more:
 * who has more, and whoever finds it full, is told at once, without the port.
 */
#define WAITING_MAX 16384

struct waiting_connection {
	struct connection_event event;
	struct connection_addresses addresses;
	struct process_key process; /* whose it is; tgid 0: not known */
	struct share_key share;     /* cgroup_id 0: the enum common_share in `user` */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WAITING_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct waiting_connection);
} waiting_connections SEC(".maps");

/* How many there are in `waiting_connections`. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} waiting_count SEC(".maps");

/*
 * What a program asked for where a program of its control group sent it elsewhere (redirect.h). Key: the socket, and where its request
 * went; that is zero where the socket is connected. Oldest evicted: such a request is then to where it went, at a port that is not
 * a DNS port it is not seen.
 */
struct redirect_key {
	__u64 socket; /* struct sock *, which may be another's by now */
	__u8 remote_address[16];
	__u32 remote_port;
	__u32 reserved;
};

struct redirect_value {
	__u8 dialed_address[16];
	__u32 dialed_port;
	__u32 remote_port; /* connected: where to; 0: not known */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct redirect_key);
	__type(value, struct redirect_value);
} redirects SEC(".maps");

/*
 * fentry and kprobe families. What a thread (pid_tgid) asked for that a program of its control group is looking at (calls.h). A
 * thread that dies in between leaves its entry; the oldest is evicted when full: its request is then not seen.
 */
struct redirect_call {
	__u64 socket;  /* struct sock * */
	__u64 name;    /* where the kernel keeps the address that it was given */
	__u64 message; /* struct msghdr * of a send; 0: a connect */
	__u64 length;
	__u32 asked[5]; /* struct place */
	__u32 entered;  /* 1: the program runs */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct redirect_call);
} redirect_calls SEC(".maps");

/*
 * Tracepoint family. Requests that left by a device of another network namespace, below one of their own (a container on
 * macvlan, ipvlan or a VLAN of the host): the namespace that asked, for the answer shows on the lower device only. Oldest
 * evicted: its answer is then COUNTER_UNMATCHED.
 */
struct below_key {
	struct asked_key asked; /* `net_ns` is the lower device's */
	__u8 local_address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct below_key);
	__type(value, __u32);
} below SEC(".maps");

/*
 * Tracepoint family. Datagrams whose first fragment was seen (fragments.h, datagram_of), and who asked for them. Oldest evicted: what
 * follows is then charged to no one's share.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct process_key);
} fragmented SEC(".maps");

/*
 * Tracepoint family. The last packets, direct-mapped by buffer address, to know one again on a stacked device (seen.h). A collision
 * overwrites: the packet would then be reported once more.
 */
#define SEEN_MAX     4096
#define SEEN_DEVICES 8 /* a packet that passes more: the last one is overwritten */

struct seen_packet {
	__u64 buffer;
	__u64 fingerprint;
	__u64 devices[SEEN_DEVICES]; /* struct net_device *, which may be gone; 0: no more */
	__u64 copied;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SEEN_MAX);
	__type(key, __u32);
	__type(value, struct seen_packet);
} seen SEC(".maps");

/* Devices whose name user space was told (interface.h). Oldest evicted: it is told again. */
struct interface_key {
	__u32 net_ns;
	__u32 index;
};

struct interface_name {
	__u64 words[INTERFACE_NAME / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct interface_key);
	__type(value, struct interface_name);
} interfaces SEC(".maps");

/*
 * fentry and kprobe families. Sockets with an unfinished datagram under UDP_CORK (struct sock *). Oldest evicted: the end
 * of its datagram is then known by the answer only.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} corked SEC(".maps");

/*
 * fentry and kprobe families. A TCP receive between entry and return, by task. A task that dies in between leaves its
 * entry; the oldest is evicted when full: that receive is DROP_RECEIVE_STATE.
 */
struct receive_state {
	__u64 socket;  /* struct sock * */
	__u64 message; /* struct msghdr * */
	__u64 room;    /* bytes the iterator had left */
	__u64 segment; /* struct buffer (payload.h) */
	__u64 offset;
	__u32 segments;
	__u32 kind;     /* enum buffer_kind */
	__u32 sequence; /* of the first byte not yet received by the program */
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64); /* pid_tgid */
	__type(value, struct receive_state);
} receives SEC(".maps");

/*
 * Processes whose threads publish the span they are in (thread_context.h). User space adds them and removes them when they
 * are gone. Full: it adds no more, and counts.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct process_key);
	__type(value, struct trace_place);
} trace_places SEC(".maps");

#endif
