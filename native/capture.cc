// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include "../bpf/kernel_calls.h"
#include "capture.h"
#include "log.h"
#include "presence.h"
#include "privileges.h"
#include "rodata.h"
#include "signals.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cerrno>
#include <linux/btf.h>
#include <linux/membarrier.h>
#include <malloc.h>
#include <string_view>
#include <sys/syscall.h>
#include <time.h>

namespace whodns
{
namespace
{

// Memory that others freed is given back to the kernel so often; it takes some hundred microseconds.
constexpr auto kTrimInterval = std::chrono::seconds(20);

constexpr std::string_view kMapsOfCalls[] = {"corked", "receives", "redirect_calls"};
constexpr std::string_view kMapsOfWaiting[] = {"waiting_connections", "waiting_count"}; // bpf/connect.h
constexpr uint32_t kSmallRing = 1u << 20;
constexpr uint32_t kFittedEntries = 8192;  // smaller maps are left as they are
constexpr const char *kObjectName = "dns"; // libbpf begins the names of data maps with it
constexpr int kNotSupported = 524;         // ENOTSUPP, kernel internal (include/linux/errno.h), yet bpf(2) returns it

// musl's allocator gives back whole groups by itself (mallocng).
void give_back_memory()
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

std::string privilege_hint(const std::string &family)
{
	if (family == "kprobe")
		return "run as root, or with CAP_BPF and CAP_PERFMON; where perf_event_paranoid is 3 (Debian) also "
		       "CAP_SYS_ADMIN";
	return "run as root, or with CAP_BPF and CAP_PERFMON (kernels before 5.8: CAP_SYS_ADMIN)";
}

std::string hint_for(const std::string &op, int code, const std::string &family)
{
	if (op == "open")
		return "the file is not a BPF object of this version: build it again with npm run build";
	// a refusal for want of privileges is EPERM from bpf(2), EACCES from perf_event_open(2); EACCES and EINVAL from
	// loading are the verifier's
	if (code == EPERM || (op == "attach" && code == EACCES)) {
		if (has_bpf_capabilities() && family != "kprobe")
			return "the privileges are there, but this kernel, its lockdown mode or a user namespace "
			       "forbids it; "
			       "use another hook family";
		return privilege_hint(family);
	}
	if (op == "load" && (code == EACCES || code == EINVAL))
		return "this kernel's verifier rejects the programs: please report it with the log that whodns doctor "
		       "shows";
	if (code == kNotSupported && family == "fentry")
		return "this kernel has no BPF trampolines; use another hook family";
	if (family == "kprobe" && (code == ENOENT || code == EOPNOTSUPP))
		return "this kernel was built without CONFIG_KPROBES; use another hook family";
	if (code == ENOMEM)
		return "not enough memory for the ring: choose a smaller one, or raise RLIMIT_MEMLOCK on kernels "
		       "before 5.11";
	return "";
}

Error failure(const std::string &op, const std::string &subject, int code, const std::string &family,
	      const LibbpfLog &log)
{
	return Error{op, subject, code, hint_for(op, code, family), log.text()};
}

// The kernel takes whole pages, a power of two of them (kernel/bpf/ringbuf.c, ringbuf_map_alloc). libbpf would round
// up silently; a size that was not asked for is worse than an error.
bool ring_size_is_valid(uint32_t bytes)
{
	return bytes >= static_cast<uint32_t>(getpagesize()) && (bytes & (bytes - 1)) == 0;
}

// Whether the kernel has what a program wants to attach to; what its BTF cannot tell counts as there.
bool target_exists(const btf *kernel, std::string_view section)
{
	auto has = [&](std::string_view prefix, const char *name_prefix, uint32_t kind) {
		if (!section.starts_with(prefix))
			return true;
		std::string name = name_prefix + std::string(section.substr(prefix.size()));
		return btf__find_by_name_kind(kernel, name.c_str(), kind) > 0;
	};
	// Of the functions with kprobes only this one depends on the kernel's configuration.
	constexpr const char *kGroupFilter = "__cgroup_bpf_";
	return has("tp_btf/", "btf_trace_", BTF_KIND_TYPEDEF) && has("fentry/", "", BTF_KIND_FUNC) &&
	       has("fexit/", "", BTF_KIND_FUNC) && has("kprobe/__cgroup_bpf_", kGroupFilter, BTF_KIND_FUNC) &&
	       has("kretprobe/__cgroup_bpf_", kGroupFilter, BTF_KIND_FUNC);
}

// A program that is not attached but run: what it returns, or 0 where it cannot be run.
uint32_t run_once(const bpf_program *program)
{
	LIBBPF_OPTS(bpf_test_run_opts, run);
	return bpf_prog_test_run_opts(bpf_program__fd(program), &run) == 0 ? run.retval : 0;
}

// Not attached to anything: run once.
bool is_probe(const bpf_program *program)
{
	return bpf_program__section_name(program) == std::string_view("raw_tp");
}

// The verifier gives up with EAGAIN when a signal is pending (kernel/bpf/verifier.c, do_check); libbpf tries five times,
// which does not help against a profiler's timer.
int load(bpf_object *object)
{
	const SignalsBlocked quiet;
	return bpf_object__load(object);
}

bool contains(const auto &range, std::string_view name)
{
	return std::ranges::find(range, name) != std::end(range);
}

// Whoever has a small ring has little memory: what the programs remember is bounded in proportion. All of these are taken
// whole when the object is loaded, when the verifier takes most as well. What only calls need (bpf/calls.h) is not made for
// packets, and what connections need not without them: each map is a descriptor too.
void fit_maps(bpf_object *object, const CaptureOptions &options)
{
	const uint32_t ring_bytes = options.ring_bytes;
	const bool waits = options.family == "tracepoint" && contains(options.besides, "connect_tracepoint");
	bpf_map *map;
	bpf_object__for_each_map(map, object)
	{
		const std::string_view name(bpf_map__name(map));
		const uint32_t entries = bpf_map__max_entries(map);
		if ((options.family == "tracepoint" && contains(kMapsOfCalls, name)) ||
		    (!waits && contains(kMapsOfWaiting, name)))
			bpf_map__set_autocreate(map, false);
		else if (name == "asked")
			bpf_map__set_max_entries(map, std::clamp(ring_bytes / 64, 8192u, entries));
		else if (ring_bytes < kSmallRing && bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH &&
			 entries >= kFittedEntries)
			bpf_map__set_max_entries(map, entries / 4);
	}
}

} // namespace

Result<std::unique_ptr<Capture>> Capture::open(const CaptureOptions &options)
{
	LibbpfLog log;
	if (!ring_size_is_valid(options.ring_bytes))
		return Error{"ring", std::to_string(options.ring_bytes), EINVAL,
			     "the size must be a power of two and at least one page", ""};

	auto loaded = KernelTypes::load(options.btf);
	if (!loaded)
		return loaded.error();
	const KernelTypes &kernel = loaded.value();
	if (const auto absent = absence(options.family, kernel)) {
		const bool loads = absent->op == std::string_view("load");
		return failure(absent->op, loads ? options.family : options.family + "_udp_sendmsg", absent->code,
			       options.family, log);
	}
	std::unique_ptr<Capture> capture(new Capture());
	const std::string types = kernel.is_of_file() ? kernel.path() : "";
	LIBBPF_OPTS(bpf_object_open_opts, open, .object_name = kObjectName,
		    .btf_custom_path = types.empty() ? nullptr : types.c_str());
	std::vector<std::byte> bytes(options.object);
	if (!kernel.is_of_file())
		write_kernel_calls(bytes.data(), bytes.size(), kernel.get());
	capture->object_.reset(bpf_object__open_mem(bytes.data(), bytes.size(), &open));
	if (!capture->object_)
		return failure("open", kObjectName, errno, options.family, log);
	bpf_object *object = capture->object_.get();

	if (capture->select_programs(options, kernel) == 0)
		return Error{
		    "family", options.family, ENOENT,
		    kernel.is_of_file() ? "it needs the kernel's own BTF: use kprobe" : "use another hook family", ""};

	capture->ring_ = bpf_object__find_map_by_name(object, "events");
	if (capture->ring_ == nullptr || bpf_map__type(capture->ring_) != BPF_MAP_TYPE_RINGBUF)
		return Error{"map", "events", ENOENT, "the BPF object has no ring buffer of this name", ""};
	fit_maps(object, options);
	if (int error = bpf_map__set_max_entries(capture->ring_, options.ring_bytes); error != 0)
		return failure("ring", "events", -error, options.family, log);

	std::vector<Knob> knobs(options.knobs);
	knobs.push_back({"page_bytes", {static_cast<uint64_t>(sysconf(_SC_PAGESIZE))}});
	if (auto set = set_knobs(object, knobs); !set)
		return set.error();
	if (int error = load(object); error != 0)
		return failure("load", options.family, -error, options.family, log);

	capture->reading_ = Ring(capture->ring_fd(), options.ring_bytes);
	if (!capture->reading_)
		return failure("ring", "events", errno, options.family, log);

	capture->family_ = options.family;
	return capture;
}

Status Capture::attach()
{
	LibbpfLog log;
	const bool redirected = std::ranges::any_of(
	    programs_, [](const bpf_program *program) { return is_probe(program) && run_once(program) != 0; });
	// Each holds a descriptor and memory: given back before the others ask for theirs.
	std::erase_if(programs_, [redirected](bpf_program *program) {
		// bpf/asked.h: costly, and of use only where addresses are exchanged at the socket
		const bool unneeded =
		    !redirected && std::string_view(bpf_program__name(program)).starts_with("redirect_");
		if (!is_probe(program) && !unneeded)
			return false;
		bpf_program__unload(program);
		return true;
	});
	for (bpf_program *program : programs_) {
		LinkHandle link(bpf_program__attach(program));
		if (!link)
			return failure("attach", bpf_program__name(program), errno, family_, log);
		links_.push_back(std::move(link));
	}
	give_back_memory();
	return Unit{};
}

// Switches everything off but what is asked for, and of that what this kernel has no target for (a tracepoint or
// function that other kernel versions have). Returns how many programs of the family are left.
size_t Capture::select_programs(const CaptureOptions &options, const KernelTypes &kernel)
{
	size_t of_family = 0;
	bpf_program *program;
	bpf_object__for_each_program(program, object_.get())
	{
		const std::string_view name(bpf_program__name(program));
		const bool in_family = name.starts_with(options.family + "_");
		bool wanted = in_family;
		for (const std::string &prefix : options.besides)
			wanted = wanted || name.starts_with(prefix + "_");
		const char *section = bpf_program__section_name(program);
		if (wanted && kernel.get() && !(kernel.serves(section) && target_exists(kernel.get(), section))) {
			skipped_.emplace_back(name);
			wanted = false;
		}
		of_family += in_family && wanted;
		bpf_program__set_autoload(program, wanted);
		if (wanted)
			programs_.push_back(program);
	}
	return of_family;
}

// glibc gives back by itself what lies at the end of its heaps, not the holes (malloc/malloc.c: mtrim).
void Capture::trim()
{
	if (const auto now = std::chrono::steady_clock::now(); now - trimmed_ > kTrimInterval) {
		give_back_memory();
		trimmed_ = now;
	}
}

bool Capture::has_records()
{
	trim();
	return reading_.used() > 0;
}

size_t Capture::drain(std::span<std::byte> to, size_t enough)
{
	trim();
	return reading_.drain(to, enough);
}

void Capture::detach()
{
	if (links_.empty())
		return;
	links_.clear();
	// Closing a link does not wait for programs that are running on other CPUs. They run inside an RCU read section;
	// MEMBARRIER_CMD_GLOBAL is synchronize_rcu() (kernel/sched/membarrier.c). It is refused on nohz_full kernels.
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0) {
		const timespec pause{0, 100'000'000};
		nanosleep(&pause, nullptr);
	}
}

} // namespace whodns
