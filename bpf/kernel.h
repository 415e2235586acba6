/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * The kernel structures this program touches, and of them only the fields it touches. Offsets are not these: the loader
 * relocates every access by field name against the running kernel's BTF (CO-RE), so order and unions do not matter here.
 * A `___suffix` marks what the same structure is called on other kernels; the loader ignores the suffix.
 */
#ifndef WHODNS_KERNEL_H
#define WHODNS_KERNEL_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* -- namespaces, processes ------------------------------------------------------------------------------------------ */

struct ns_common {
	unsigned int inum;
};

struct ipv4_devconf {
	int data[32]; /* by enum of linux/ip.h, from 1 on */
};

struct in_device {
	struct ipv4_devconf cnf;
};

struct net {
	struct ns_common ns;
	struct {
		struct ipv4_devconf *devconf_all;
	} ipv4;
	void *dev_index_head; /* struct hlist_head[], which is one pointer */
	void *ipvs;           /* NULL: the module is not there */
};

typedef struct {
	struct net *net;
} possible_net_t;

struct pid_namespace {
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
	struct cgroup_namespace *cgroup_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

struct user_namespace {
	struct user_namespace *parent;
	int level;
	kuid_t owner; /* who made it */
};

/* Eight bytes; any structure that begins so would do. */
struct timespec64 {
	__u64 tv_sec;
};

struct cred {
	kuid_t uid;
	kuid_t euid;
	kgid_t egid;
	struct user_namespace *user_ns;
};

struct tty_driver {
	int major;
	int minor_start;
};

struct tty_struct {
	struct tty_driver *driver;
	int index;
};

struct signal_struct {
	struct tty_struct *tty;
};

struct kernfs_iattrs {
	kuid_t ia_uid;
};

struct kernfs_node {
	struct kernfs_node *__parent; /* since 6.15 */
	const char *name;
	__u64 id;
	struct kernfs_iattrs *iattr; /* NULL: as it was made, root's */
};

struct kernfs_node___old {
	struct kernfs_node *parent;
};

struct bpf_prog;

struct bpf_prog_array_item {
	struct bpf_prog *prog; /* NULL: there are no more */
};

struct bpf_prog_array {
	struct bpf_prog_array_item items[1];
};

/* With CONFIG_CGROUP_BPF. */
struct cgroup_bpf {
	struct bpf_prog_array *effective[1]; /* own programs and those of the groups above */
};

struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_bpf bpf;
};

/* Until 6.0 (since 6.1 `ancestors`, pointers). */
struct cgroup___ids {
	int level;
	__u64 ancestor_ids[1];
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

/* Values differ with the kernel's configuration: read by bpf_core_enum_value. */
enum cgroup_subsys_id {
	cpu_cgrp_id,
	memory_cgrp_id,
	pids_cgrp_id,
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

struct cgroup_namespace {
	struct css_set *root_cset;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct inode {
	unsigned long i_ino;
	unsigned int i_nlink;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct fs_struct {
	struct path pwd;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data; /* of a socket: struct socket * */
};

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
	unsigned long env_start;
	unsigned long env_end;
	struct file *exe_file;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct task_struct {
	void *stack;
	struct files_struct *files;
	unsigned int flags;
	int pid;
	int tgid;
	__u64 start_boottime;
	__u32 self_exec_id;
	char comm[16];
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct cred *cred;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct fs_struct *fs;
};

/* PREEMPT_RT keeps the softirq count in the task (include/linux/preempt.h). */
struct task_struct___rt {
	int softirq_disable_cnt;
};

/* arm64 keeps the preempt count in thread_info (arch/arm64/include/asm/thread_info.h). */
struct thread_info___arm64 {
	struct {
		__u32 count;
	} preempt;
};

struct task_struct___arm64 {
	struct thread_info___arm64 thread_info;
};

/* Where the running thread's thread pointer was when it last gave up its CPU, or was set by a system call. */
struct thread_struct___x86 {
	unsigned long fsbase;
};

struct task_struct___x86 {
	struct thread_struct___x86 thread;
};

struct thread_struct___arm64 {
	struct {
		unsigned long tp_value;
	} uw;
};

struct task_struct___arm64_thread {
	struct thread_struct___arm64 thread;
};

/* -- sockets -------------------------------------------------------------------------------------------------------- */

struct in6_addr___kernel {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

typedef struct {
	long long counter;
} atomic64_t;

struct sock_common {
	__u64 skc_addrpair; /* skc_daddr and, in the upper half, skc_rcv_saddr */
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	unsigned char skc_state;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr___kernel skc_v6_daddr;
	struct in6_addr___kernel skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct sock_cgroup_data {
	struct cgroup *cgroup; /* since 5.15 */
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	__u16 sk_protocol; /* since 5.6 no bit field any more */
	struct sock_cgroup_data sk_cgrp_data;
};

struct inet_sock {
	__be16 inet_sport;
} __attribute__((preserve_access_index));

struct tcp_sock {
	__u32 copied_seq;
	__u32 rcv_nxt;
	__u32 rcv_wup;
	__u32 rcv_wnd;
	__u32 max_window;
	__u32 write_seq;
	__u32 snd_una;
	__u64 bytes_acked;
	__u64 bytes_received;
	bool is_mptcp; /* with CONFIG_MPTCP */
	struct tcp_fastopen_request *fastopen_req;
};

/* TCP Fast Open: what the SYN takes along. */
struct tcp_fastopen_request {
	struct msghdr *data; /* NULL: nothing */
	size_t size;
};

struct udp_sock {
	int pending;             /* an address family: a datagram is being put together */
	unsigned long udp_flags; /* since 6.7; bit 0 is UDP_FLAGS_CORK */
	__u16 gso_size;
};

struct udp_sock___old {
	unsigned int corkflag;
};

struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len;
	unsigned int bv_offset;
};

struct iovec {
	void *iov_base;
	size_t iov_len;
};

/* Values differ between kernels: read by bpf_core_enum_value. */
enum iter_type {
	ITER_IOVEC,
	ITER_KVEC,
	ITER_BVEC,
	ITER_UBUF, /* since 6.0 */
};

struct iov_iter {
	__u8 iter_type; /* since 5.14 */
	size_t iov_offset;
	size_t count;
	const struct iovec *__iov; /* since 6.4 */
	const struct iovec *kvec;
	const struct bio_vec *bvec;
	void *ubuf;
	unsigned long nr_segs;
};

struct iov_iter___old {
	unsigned int type;       /* until 5.13: enum iter_type and the direction in bit 0 */
	const struct iovec *iov; /* until 6.3 */
};

struct sockaddr_in6 {
	unsigned short sin6_family;
	__be16 sin6_port;
	struct in6_addr___kernel sin6_addr;
	__u32 sin6_scope_id;
};

struct msghdr {
	void *msg_name;
	int msg_namelen;
	struct iov_iter msg_iter;
	unsigned int msg_flags;
	void *msg_control;
	size_t msg_controllen;
};

/* -- packets -------------------------------------------------------------------------------------------------------- */

struct list_head {
	struct list_head *next;
};

struct hlist_node {
	struct hlist_node *next;
	struct hlist_node **pprev;
};

struct net_device {
	char name[16];
	struct hlist_node index_hlist;
	int ifindex;
	unsigned int flags;
	struct in_device *ip_ptr;
	possible_net_t nd_net;
	struct {
		struct list_head upper;
		struct list_head lower;
	} adj_list;
};

/* One device on top of another. */
struct netdev_adjacent {
	struct net_device *dev;
	bool master;
	struct list_head list;
};

union nf_inet_addr {
	__u32 all[4];
};

struct nf_conntrack_tuple {
	struct {
		union nf_inet_addr u3;
		union {
			__be16 all;
		} u;
	} dst;
};

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
};

struct nf_conn {
	struct nf_conntrack_tuple_hash tuplehash[2]; /* 0: as the first packet was before any translation */
	unsigned long status;
};

struct sk_buff {
	struct sk_buff *next;
	unsigned long _skb_refdst;
	unsigned long _nfct; /* struct nf_conn *, and in the lowest three bits enum ip_conntrack_info */
	struct net_device *dev;
	struct sock *sk;
	unsigned int len;
	unsigned int data_len;
	int skb_iif;
	__u8 cloned : 1;
	__u8 pkt_type : 3;
	__u8 ip_summed : 2;
	__be16 protocol;
	__u16 transport_header;
	__u16 network_header;
	unsigned int end;
	unsigned char *head;
	unsigned char *data;
};

struct skb_frag {             /* since 6.9; until then skb_frag_t is struct bio_vec */
	unsigned long netmem; /* a struct page * unless bit 0 is set */
	unsigned int len;
	unsigned int offset;
};

struct skb_shared_info {
	__u8 nr_frags;
	unsigned short gso_size;
	struct sk_buff *frag_list;
	struct bio_vec frags[17];
};

struct sk_buff_head {
	struct sk_buff *prev;
};

struct neighbour {
	struct sk_buff_head arp_queue;
};

struct page {
	unsigned long flags;
};

#pragma clang attribute pop

#endif
