/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Knobs. Read-only data: the loader writes them before the load, the verifier then knows them as constants and removes
 * the branches not taken.
 */
#ifndef WHODNS_CONFIG_H
#define WHODNS_CONFIG_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>

#define PORTS_MAX   4
#define PAYLOAD_MAX 65535u

/* Remote ports that are DNS, host order; the first `dns_port_count` of them count. */
const volatile __u16 dns_ports[PORTS_MAX] = {53};
const volatile __u32 dns_port_count = 1;
/* Payload bytes copied of one message, 64 .. 65535. */
const volatile __u32 payload_limit = 4096;
/* The agent itself: inode of its pid namespace and its pid in there. 0 = nobody is left out. */
const volatile __u32 self_pid_ns = 0;
const volatile __u32 self_vpid = 0;
/* The reader is woken when so many bytes wait in the ring (a quarter of it); 0 = never, it polls by time alone. */
const volatile __u64 wakeup_bytes = 4 << 20;
/* Random per load: mixed into the socket identity where the kernel has no cookie for us, so that no address is shown. */
const volatile __u64 identity_seed = 0x9e3779b97f4a7c15;

/* 1: the map `visibility` says who is captured; 0: everybody is, and nothing is looked up. */
const volatile __u32 visibility_enforced = 0;
/*
 * sizeof(struct trace_context): every message record has room for one, and requests are looked up in `trace_places`. 0:
 * none. A number and no flag, so that a record's size and its payload's place are computed without a branch.
 */
const volatile __u64 trace_bytes = 0;

/* Of a page of memory. */
const volatile __u32 page_bytes = 4096;

/* Half of the ring: below it no one has to give way. */
const volatile __u64 calm_bytes = 8 << 20;
/* Seven eighths of it: beyond them no exit is told. */
const volatile __u64 exit_bytes = 14 << 20;
/* Records a second of one share, and how many at once (share.h). 0: no bound. */
const volatile __u32 share_rate = 5000;
const volatile __u32 share_burst = 50000;

/* Set by libbpf from the running kernel, also a constant for the verifier. */
extern int LINUX_KERNEL_VERSION __kconfig;
#define KERNEL(a, b, c) (((a) << 16) + ((b) << 8) + (c))

static __always_inline bool is_dns_port(__u16 port)
{
	return port == dns_ports[0] || (dns_port_count > 1 && port == dns_ports[1]) ||
	       (dns_port_count > 2 && port == dns_ports[2]) || (dns_port_count > 3 && port == dns_ports[3]);
}

#endif
