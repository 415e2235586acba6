// SPDX-License-Identifier: Apache-2.0
#include "sandbox.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace inspector
{
namespace
{

#if defined(__x86_64__)
constexpr uint32_t ARCHITECTURE = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t ARCHITECTURE = AUDIT_ARCH_AARCH64;
#else
#error "which AUDIT_ARCH_ has this machine?"
#endif

constexpr uint32_t WORKER_CALLS[] = {
    SYS_read,       SYS_write,           SYS_pread64,       SYS_openat,     SYS_openat2,   SYS_close,    SYS_readlinkat,
    SYS_statx,      SYS_newfstatat,      SYS_fstat,         SYS_lseek,      SYS_mmap,      SYS_munmap,   SYS_mremap,
    SYS_brk,        SYS_rt_sigreturn,    SYS_clock_gettime, SYS_getdents64, SYS_sendto,    SYS_recvfrom, SYS_exit,
    SYS_exit_group, SYS_restart_syscall, SYS_futex,         SYS_mprotect,   SYS_getrandom, SYS_fstatfs,
};

constexpr uint32_t SUPERVISOR_CALLS[] = {
    SYS_ppoll,       SYS_clone,   SYS_kill,      SYS_socketpair,      SYS_dup3,
    SYS_close_range, SYS_prctl,   SYS_prlimit64, SYS_set_robust_list, SYS_rt_sigprocmask,
    SYS_getpid,      SYS_getppid, SYS_seccomp,   SYS_gettid,
#ifdef SYS_poll
    SYS_poll,        SYS_dup2,    SYS_fork,
#endif
};

// What musl calls in fork(), malloc() and open().
constexpr uint32_t MUSL_CALLS[] = {
    SYS_set_tid_address,
    SYS_sched_getaffinity,
#ifdef SYS_open
    SYS_open,
#endif
};

// A filter of a comparison for each call; anything else fails with EPERM.
class Filter
{
      public:
	Filter()
	{
		add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
		add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
		add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
		add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
	}

	template <size_t N> void allow(const uint32_t (&calls)[N])
	{
		for (uint32_t call : calls) {
			add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
			add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
		}
	}

	bool install()
	{
		add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
		sock_fprog program{.len = size_, .filter = code_};
		// Not seccomp(2), which systemd's @system-service leaves out.
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
	}

      private:
	void add(sock_filter instruction) { code_[size_++] = instruction; }

	static constexpr size_t MAX_CALLS =
	    sizeof(WORKER_CALLS) / 4 + sizeof(SUPERVISOR_CALLS) / 4 + sizeof(MUSL_CALLS) / 4;
	sock_filter code_[5 + 2 * MAX_CALLS];
	unsigned short size_ = 0;
};

} // namespace

void drop_rights()
{
	// Fails without CAP_SETPCAP: then no_new_privs and the filter, which has no execve, stand alone.
	for (int capability = 0; capability < 64; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
			break;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	__user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
	__user_cap_data_struct sets[2] = {};
	if (syscall(SYS_capget, &header, sets) != 0)
		return;
	const uint32_t kept = sets[0].permitted & (1u << CAP_SYS_PTRACE | 1u << CAP_DAC_READ_SEARCH);
	sets[0] = {.effective = kept, .permitted = kept, .inheritable = 0};
	sets[1] = {};
	syscall(SYS_capset, &header, sets);
	// Others of the same user are kept from looking into it.
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

bool confine_supervisor()
{
	Filter filter;
	filter.allow(WORKER_CALLS);
	filter.allow(MUSL_CALLS);
	filter.allow(SUPERVISOR_CALLS);
	return filter.install();
}

bool confine_worker()
{
	Filter filter;
	filter.allow(WORKER_CALLS);
	filter.allow(MUSL_CALLS);
	return filter.install();
}

} // namespace inspector
