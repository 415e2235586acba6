// SPDX-License-Identifier: Apache-2.0
#include "presence.h"
#include "handle.h"
#include "signals.h"

#include <array>
#include <bpf/bpf.h>
#include <cerrno>
#include <linux/bpf.h>

namespace whodns
{
namespace
{

constexpr const char *kFunction = "udp_sendmsg"; // one that every family of functions is attached to

// r0 = 0; exit
constexpr std::array<bpf_insn, 2> kEmptyProgram{{
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
    {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
}};

Fd load_empty(bpf_prog_type type, bpf_prog_load_opts *options)
{
	const SignalsBlocked quiet;
	return Fd(bpf_prog_load(type, "whodns_presence", "Dual BSD/GPL", kEmptyProgram.data(), kEmptyProgram.size(),
				options));
}

// Loads and attaches a program of two instructions, and takes it out again.
std::optional<Absence> no_trampolines(const btf *kernel)
{
	const int function = btf__find_by_name_kind(kernel, kFunction, BTF_KIND_FUNC);
	if (function <= 0)
		return std::nullopt;
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FENTRY,
		    .attach_btf_id = static_cast<__u32>(function));
	const Fd program = load_empty(BPF_PROG_TYPE_TRACING, &options);
	if (!program)
		return Absence{"load", errno};
	const Fd link(bpf_raw_tracepoint_open(nullptr, program.get()));
	if (!link)
		return Absence{"attach", errno};
	return std::nullopt;
}

// Kprobes are there if their perf event type is, or the older file in tracefs: libbpf takes either.
std::optional<Absence> no_kprobes()
{
	for (const char *path : {"/sys/bus/event_source/devices/kprobe/type", "/sys/kernel/tracing/kprobe_events",
				 "/sys/kernel/debug/tracing/kprobe_events"})
		if (access(path, F_OK) == 0)
			return std::nullopt;
	if (!load_empty(BPF_PROG_TYPE_KPROBE, nullptr)) // who may load nothing is told that
		return Absence{"load", errno};
	return Absence{"attach", ENOENT};
}

} // namespace

std::optional<Absence> absence(const std::string &family, const KernelTypes &kernel)
{
	if (family == "fentry" && kernel.get() != nullptr && !kernel.is_of_file())
		return no_trampolines(kernel.get());
	if (family == "kprobe")
		return no_kprobes();
	return std::nullopt;
}

} // namespace whodns
