/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Tracepoint family: what was asked for here, and what lies in between: destination NAT, devices of another namespace. At
 * packet level a request shows where it goes, the socket or the connection tracker where the program sent it.
 */
#ifndef WHODNS_TRANSLATE_H
#define WHODNS_TRANSLATE_H

#include "asked.h"
#include "fragments.h"
#include "maps.h"
#include "packet.h"
#include "process.h"
#include "redirect.h"
#include "socket.h"

#define IPS_DST_NAT    (1 << 5) /* include/uapi/linux/netfilter/nf_conntrack_common.h */
#define IP_CT_IS_REPLY 3        /* enum ip_conntrack_info: this and above */

/* State: `translated` has had an entry. */
__u32 any_translation;

static __always_inline void asked_from_message(struct asked_key *key, const struct message *message)
{
	__builtin_memcpy(key->remote_address, message->remote_address, 16);
	key->net_ns = message->net_ns;
	key->local_port = message->local_port;
	key->remote_port = message->remote_port;
	key->protocol = message->protocol;
}

/* A key in one number: without the seed no one can make two that have the same. */
static __always_inline __u64 asked_sum(const struct asked_key *key)
{
	__u64 remote[2];

	__builtin_memcpy(remote, key->remote_address, sizeof(remote));
	return stirred(stirred(stirred(identity_seed ^ key->protocol, remote[0]), remote[1]),
		       (__u64)key->net_ns << 32 | (__u32)key->local_port << 16 | key->remote_port);
}

/* The functions here are not inlined for the sake of the stack. */
static __noinline struct asked_value *find_asked(const struct asked_key *key)
{
	__u64 sum;

	if (!key)
		return NULL;
	sum = asked_sum(key);
	return bpf_map_lookup_elem(&asked, &sum);
}

static __noinline int remember_asked(const struct message *message, __u64 socket)
{
	const __u32 answers = message && message->protocol == PROTOCOL_TCP ? STREAM_ANSWERS : 1;
	struct asked_key key = {};
	struct asked_value fresh = {.socket = socket}, *known;
	__u64 sum;

	if (!message)
		return 0;
	asked_from_message(&key, message);
	sum = asked_sum(&key);
	if (message->protocol == PROTOCOL_UDP)
		remember_server(message->remote_address, message->net_ns);
	known = bpf_map_lookup_elem(&asked, &sum);
	if (known) {
		known->socket = socket;
		known->process.start_time = message->owner.start_time;
		known->process.tgid = message->owner.tgid;
		__sync_fetch_and_add(&known->owed, answers);
		return 0;
	}
	fresh.process.start_time = message->owner.start_time;
	fresh.process.tgid = message->owner.tgid;
	fresh.owed = answers;
	bpf_map_update_elem(&asked, &sum, &fresh, BPF_ANY);
	return 0;
}

/*
 * The request was left out: so is its answer. No entry is made, for no one could be kept from making as many as he likes: an
 * answer to where nothing else was asked from is then COUNTER_UNMATCHED.
 */
static __noinline int remember_skipped(const struct message *message)
{
	struct asked_key key = {};
	struct asked_value *known;

	if (!message)
		return 0;
	asked_from_message(&key, message);
	known = find_asked(&key);
	if (known)
		__sync_fetch_and_add(&known->skipped, 1);
	return 0;
}

/*
 * The tracked connection of a packet in its original direction whose destination was translated; NULL: there is none.
 * Its fields by PROBE: kernels have a second type of that name (struct nf_conn___init), so no cast by type.
 */
static __always_inline struct nf_conn *translated_connection(struct sk_buff *skb)
{
	struct nf_conn *connection;

	if (!bpf_core_field_exists(skb->_nfct) || (skb->_nfct & 7) >= IP_CT_IS_REPLY)
		return NULL;
	connection = (struct nf_conn *)(skb->_nfct & ~7ul);
	if (!connection || !(PROBE(connection, status) & IPS_DST_NAT))
		return NULL;
	return connection;
}

/* The port an unconnected socket sent to, before translation; 0: as the packet says. */
static __always_inline __u16 original_port(struct sk_buff *skb)
{
	struct nf_conn *connection = translated_connection(skb);

	return connection ? bpf_ntohs(PROBE(connection, tuplehash[0].tuple.dst.u.all)) : 0;
}

/*
 * Where the program sent it: by its own words, by the socket or by the connection tracker. Port in host order; 0: as the packet
 * says.
 */
static __always_inline __u16 read_dialed(__u32 *dialed, struct sk_buff *skb, struct sock *sk, bool v6, __u64 socket,
					 const struct packet *packet)
{
	__u16 port = bpf_ntohs(sk->__sk_common.skc_dport);
	struct redirect_value *asked;
	struct nf_conn *connection;

	asked = port ? connected_redirect(socket, port) : asked_before(socket, packet);
	if (asked) {
		__builtin_memcpy(dialed, asked->dialed_address, 16);
		return asked->dialed_port;
	}
	dialed[0] = dialed[1] = 0;
	dialed[2] = bpf_htonl(0xffff);
	if (sk->__sk_common.skc_dport) {
		if (v6)
			bpf_core_read(dialed, 16, &sk->__sk_common.skc_v6_daddr);
		else
			dialed[3] = sk->__sk_common.skc_daddr;
		return bpf_ntohs(sk->__sk_common.skc_dport);
	}
	connection = translated_connection(skb);
	if (!connection)
		return 0;
	if (v6)
		bpf_core_read(dialed, 16, &connection->tuplehash[0].tuple.dst.u3);
	else
		dialed[3] = PROBE(connection, tuplehash[0].tuple.dst.u3.all[0]);
	return bpf_ntohs(PROBE(connection, tuplehash[0].tuple.dst.u.all));
}

/* The address the program sent to, where the packet goes elsewhere. */
static __noinline int add_dialed(struct message *message, struct sk_buff *skb, struct sock *sk, __u64 socket,
				 const struct packet *packet)
{
	__u32 dialed[4], remote[4];
	__u16 port;

	if (!message)
		return 0;
	port = read_dialed(dialed, skb, sk, message->family == 6, socket, packet);
	__builtin_memcpy(remote, message->remote_address, 16);
	if (!port || (port == message->remote_port && dialed[0] == remote[0] && dialed[1] == remote[1] &&
		      dialed[2] == remote[2] && dialed[3] == remote[3]))
		return 0;
	fill_dialed(message, dialed, port);
	return 0;
}

/* The answer comes from where the request went, from a port that need not be a DNS port, or is translated back before. */
static __noinline int remember_translation(const struct message *message)
{
	struct translated_value value = {};
	struct asked_key key = {};

	if (!message)
		return 0;
	note_translated_port(message->remote_port);
	asked_from_message(&key, message);
	__builtin_memcpy(value.remote_address, message->remote_address, 16);
	value.remote_port = message->remote_port;
	__builtin_memcpy(key.remote_address, message->dialed_address, 16);
	key.remote_port = message->dialed_port;
	bpf_map_update_elem(&translated, &key, &value, BPF_ANY);
	any_translation = 1;
	return 0;
}

/* A response from what the program dialled: tells it as from where the request went, so that the two are a pair. */
static __noinline bool undo_translation(struct message *message, struct asked_key *key)
{
	struct translated_value *value;

	if (!message || !key)
		return false;
	value = bpf_map_lookup_elem(&translated, key);
	if (!value)
		return false;
	__builtin_memcpy(message->dialed_address, message->remote_address, 16);
	message->dialed_port = message->remote_port;
	message->flags |= MESSAGE_DIALED;
	__builtin_memcpy(message->remote_address, value->remote_address, 16);
	message->remote_port = value->remote_port;
	asked_from_message(key, message);
	return true;
}

/* State: some request left by a device of another namespace. */
__u32 any_below;

static __noinline int remember_below(const struct packet *packet, __u32 device_ns, __u32 asking_ns)
{
	struct below_key key = {};

	if (!packet)
		return 0;
	__builtin_memcpy(key.asked.remote_address, packet->destination, 16);
	key.asked.net_ns = asking_ns;
	key.asked.local_port = packet->source_port;
	key.asked.remote_port = packet->destination_port;
	key.asked.protocol = packet->protocol;
	if (!find_asked(&key.asked)) /* left out on its own device */
		return 0;
	key.asked.net_ns = device_ns;
	__builtin_memcpy(key.local_address, packet->source, 16);
	bpf_map_update_elem(&below, &key, &asking_ns, BPF_ANY);
	remember_server(packet->destination, device_ns);
	any_below = 1;
	return 0;
}

/*
 * Between two containers on macvlan of one device no packet leaves by that device, yet answers come from it: the first
 * device below is asked for its namespace. Devices without one below cost a comparison.
 */
static __always_inline void remember_lower(const struct packet *packet, struct net_device *device, __u32 net_ns)
{
	struct list_head *first = device->adj_list.lower.next;
	struct netdev_adjacent *adjacent;
	struct net_device *lower;
	struct net *net;
	__u32 below_ns;

	if (first == &device->adj_list.lower || !bpf_core_type_exists(struct netdev_adjacent))
		return;
	adjacent = (void *)address_of(first) - bpf_core_field_offset(struct netdev_adjacent, list);
	lower = PROBE(adjacent, dev);
	net = PROBE(lower, nd_net.net);
	below_ns = PROBE(net, ns.inum);
	if (below_ns && below_ns != net_ns)
		remember_below(packet, below_ns, net_ns);
}

/* A response on a device below another namespace's: tells it as of the namespace that asked, so that the two are a pair. */
static __noinline bool rise_from_below(struct message *message, struct asked_key *asked)
{
	struct below_key key = {};
	__u32 *asking_ns;

	if (!message || !asked)
		return false;
	key.asked = *asked;
	__builtin_memcpy(key.local_address, message->local_address, 16);
	asking_ns = bpf_map_lookup_elem(&below, &key);
	if (!asking_ns)
		return false;
	message->net_ns = *asking_ns;
	asked->net_ns = *asking_ns;
	return true;
}

#endif
