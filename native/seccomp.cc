// SPDX-License-Identifier: Apache-2.0
#include "seccomp.h"
#include "syscalls.gen.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace whodns
{
namespace
{

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif
// x86-64 only: numbers from here on are those of the x32 ABI (arch/x86/include/uapi/asm/unistd.h).
constexpr uint32_t kX32 = 0x40000000;
// set_mempolicy_home_node (Linux 5.17). From 424 on all machines have the same numbers.
constexpr uint32_t kNewestKnown = 450;
constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
// Who gets this takes an older call: a libc in place of clone3, whose flags lie in memory that a filter cannot read; libuv in
// place of io_uring, whose operations no filter sees; whoever asks for a call that is newer than this list.
constexpr uint32_t kAbsent = SECCOMP_RET_ERRNO | ENOSYS;

// What may be done with maps that are open, and what tells of programs and maps.
constexpr uint32_t kBpfCommands[] = {
    BPF_MAP_LOOKUP_ELEM,  BPF_MAP_UPDATE_ELEM,  BPF_MAP_DELETE_ELEM,  BPF_MAP_GET_NEXT_KEY,
    BPF_MAP_LOOKUP_BATCH, BPF_MAP_UPDATE_BATCH, BPF_MAP_DELETE_BATCH, BPF_OBJ_GET_INFO_BY_FD,
};
constexpr uint32_t kFamilies[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
// They type into the terminal that the agent was started from.
constexpr uint32_t kTerminalInput[] = {TIOCSTI, TIOCLINUX};

// A classic BPF program over struct seccomp_data. Jumps count the instructions that are left out.
class Program
{
      public:
	explicit Program(uint32_t refuse) : refuse_(refuse) {}

	void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
	void end(uint32_t action) { add(BPF_RET | BPF_K, action); }
	void refuse_unless_equal(uint32_t value)
	{
		add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
		end(refuse_);
	}
	void end_from(uint32_t value, uint32_t action)
	{
		add(BPF_JMP | BPF_JGE | BPF_K, value, 0, 1);
		end(action);
	}
	void end_at(uint32_t call, uint32_t action)
	{
		add(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
		end(action);
	}
	// The call goes by its argument `index`: those whose low half is one of `values` (masked) end as `hit`, others as `miss`.
	// All arguments looked at are of 32 bits: the kernel does not look at the upper half either.
	template <size_t N>
	void by_argument(uint32_t call, unsigned index, const uint32_t (&values)[N], uint32_t hit, uint32_t miss)
	{
		add(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 2 * N + 2);
		load(offsetof(seccomp_data, args) + 8 * index + low_half());
		for (const uint32_t value : values)
			end_at(value, hit);
		end(miss);
	}
	void by_flag(uint32_t call, unsigned index, uint32_t flag)
	{
		add(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4);
		load(offsetof(seccomp_data, args) + 8 * index + low_half());
		add(BPF_JMP | BPF_JSET | BPF_K, flag, 0, 1);
		end(kAllow);
		end(refuse_);
	}

	uint32_t refuse() const { return refuse_; }
	sock_fprog get() { return {static_cast<unsigned short>(code_.size()), code_.data()}; }

      private:
	static constexpr size_t low_half() { return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4; }
	void add(int code, uint32_t value, size_t if_true = 0, size_t if_false = 0)
	{
		code_.push_back({static_cast<uint16_t>(code), static_cast<uint8_t>(if_true),
				 static_cast<uint8_t>(if_false), value});
	}

	uint32_t refuse_;
	std::vector<sock_filter> code_;
};

Program program(uint32_t refuse)
{
	Program filter(refuse);
	filter.load(offsetof(seccomp_data, arch));
	filter.refuse_unless_equal(kArchitecture);
	filter.load(offsetof(seccomp_data, nr));
	for (const uint32_t call : kSystemCalls)
		filter.end_at(call, kAllow);
	filter.by_flag(SYS_clone, 0, CLONE_THREAD);
	filter.by_argument(SYS_bpf, 0, kBpfCommands, kAllow, refuse);
	filter.by_argument(SYS_socket, 0, kFamilies, kAllow, refuse);
	filter.by_argument(SYS_socketpair, 0, kFamilies, kAllow, refuse);
	filter.by_argument(SYS_ioctl, 1, kTerminalInput, refuse, kAllow);
	filter.end_at(SYS_clone3, kAbsent);
	filter.end_at(SYS_io_uring_setup, kAbsent);
	filter.end_from(kX32, refuse);
	filter.end_from(kNewestKnown + 1, kAbsent);
	filter.end(refuse);
	return filter;
}

} // namespace

Status filter_system_calls(FilterMode mode)
{
	const char *hint = "this kernel or an outer filter does not allow it: --seccomp off does without";
	if (kArchitecture == 0)
		return Error{"seccomp", "", EOPNOTSUPP, "no list of system calls for this machine: --seccomp off", ""};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return Error{"seccomp", "no_new_privs", errno, hint, ""};
	Program filter = program(mode == FilterMode::log ? SECCOMP_RET_LOG : SECCOMP_RET_ERRNO | EPERM);
	const sock_fprog code = filter.get();
	// Without SPEC_ALLOW kernels before 5.16 run a filtered process with a mitigation that is for foreign code in it, which
	// costs JavaScript much.
	const long refused =
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		    SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &code);
	if (refused < 0)
		return Error{"seccomp", "", errno, hint, ""};
	if (refused > 0)
		return Error{"seccomp", "thread " + std::to_string(refused), EBUSY, hint, ""};
	return Unit{};
}

} // namespace whodns
