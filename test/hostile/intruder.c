/*
 * What someone tries who has taken over the agent's process: a Node addon, loaded by intruder-detector.mjs.
 *
 *     attempts(pid, file) -> { name: errno, ... }, 0 = it worked
 *
 * pid: another process of root. file: one that only another user may read. With -DALONE it is a program, which tries each in a process
 * of its own and prints lines "errno name": what root can do where no one has taken anything from it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#ifndef ALONE
#include <node_api.h>
#endif
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int victim;
static char file[4096];

static long load_program(void)
{
	struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2};

	attr.insns = (unsigned long)code;
	attr.license = (unsigned long)"GPL";
	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
}

static long make_map(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
}

static long perf_event(void)
{
	struct perf_event_attr attr = {
	    .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_CPU_CLOCK};

	return syscall(SYS_perf_event_open, &attr, victim, -1, -1, 0);
}

static long read_memory(void)
{
	char byte;
	struct iovec own = {&byte, 1}, other = {(void *)0x400000, 1};

	return process_vm_readv(victim, &own, 1, &other, 1, 0);
}

static long write_memory(void)
{
	char byte = 0;
	struct iovec own = {&byte, 1}, other = {(void *)0x400000, 1};

	return process_vm_writev(victim, &own, 1, &other, 1, 0);
}

static long start_program(void)
{
	char *const argv[] = {"true", NULL};
	char *const envp[] = {NULL};

	return execve("/bin/true", argv, envp);
}

static long start_process(void)
{
	const pid_t child = fork();

	if (child == 0)
		_exit(0);
	if (child > 0)
		waitpid(child, NULL, 0);
	return child;
}

static long attach(void)
{
	const long result = ptrace(PTRACE_SEIZE, victim, 0, 0);

	if (result == 0)
		ptrace(PTRACE_DETACH, victim, 0, 0);
	return result;
}

static long type_into_terminal(void)
{
	return ioctl(0, TIOCSTI, "x");
}

static long read_others_file(void)
{
	return open(file, O_RDONLY | O_CLOEXEC);
}

static long mount_over(void)
{
	return mount("none", "/mnt", "tmpfs", 0, "");
}

static long new_namespace(void)
{
	return unshare(CLONE_NEWNS);
}

static long user_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static long load_module(void)
{
	return syscall(SYS_finit_module, 0, "", 0);
}

static long unload_module(void)
{
	return syscall(SYS_delete_module, "no_such_module", O_NONBLOCK);
}

static long keys(void)
{
	return syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3, 1);
}

static long page_faults(void)
{
	return syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
}

static long become_user(void)
{
	return setresuid(12345, 12345, 12345);
}

static long change_root(void)
{
	return chroot("/tmp");
}

static long open_handle(void)
{
	return syscall(SYS_open_by_handle_at, AT_FDCWD, "", O_RDONLY);
}

static long new_ring(void)
{
	return syscall(425 /* io_uring_setup */, 1, "");
}

static long packet_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long crypto_socket(void)
{
	return socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static long raw_socket(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static long turn_off_filter(void)
{
	/* another filter cannot allow what the first one does not; nothing else is offered */
	return syscall(SYS_seccomp, 0 /* SECCOMP_SET_MODE_STRICT */, 0, NULL);
}

static long foreign_descriptor(void)
{
	const int process = (int)syscall(434 /* pidfd_open */, victim, 0);
	const long result = process < 0 ? process : syscall(438 /* pidfd_getfd */, process, 0, 0);
	const int saved = errno;

	if (process >= 0)
		close(process);
	errno = saved;
	return result;
}

static const struct {
	const char *name;
	long (*run)(void);
} attempts[] = {
    {"load a BPF program", load_program},
    {"make a BPF map", make_map},
    {"open a perf event", perf_event},
    {"process_vm_readv", read_memory},
    {"process_vm_writev", write_memory},
    {"ptrace", attach},
    {"pidfd_getfd", foreign_descriptor},
    {"execve", start_program},
    {"fork", start_process},
    {"type into the terminal", type_into_terminal},
    {"read a file of another user", read_others_file},
    {"mount", mount_over},
    {"a new mount namespace", new_namespace},
    {"a new user namespace", user_namespace},
    {"load a module", load_module},
    {"unload a module", unload_module},
    {"keyctl", keys},
    {"userfaultfd", page_faults},
    {"become another user", become_user},
    {"chroot", change_root},
    {"open_by_handle_at", open_handle},
    {"a new io_uring", new_ring},
    {"a packet socket", packet_socket},
    {"a socket of the crypto API", crypto_socket},
    {"a raw socket", raw_socket},
    {"seccomp once more", turn_off_filter},
};

#ifdef ALONE
int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	victim = atoi(argv[1]);
	snprintf(file, sizeof file, "%s", argv[2]);
	for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
		int status = 0;
		const pid_t child = fork();

		if (child == 0)
			_exit(attempts[i].run() < 0 ? errno : 0);
		waitpid(child, &status, 0);
		printf("%d %s\n", WEXITSTATUS(status), attempts[i].name);
	}
	return 0;
}
#else
static napi_value run_attempts(napi_env env, napi_callback_info info)
{
	napi_value arguments[2], result, number;
	size_t count = 2;

	napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
	napi_get_value_int32(env, arguments[0], &victim);
	napi_get_value_string_utf8(env, arguments[1], file, sizeof file, NULL);
	napi_create_object(env, &result);
	for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
		errno = 0;
		const long got = attempts[i].run();
		napi_create_int32(env, got < 0 ? errno : 0, &number);
		napi_set_named_property(env, result, attempts[i].name, number);
	}
	return result;
}

NAPI_MODULE_INIT()
{
	napi_value function;

	napi_create_function(env, "attempts", NAPI_AUTO_LENGTH, run_attempts, NULL, &function);
	napi_set_named_property(env, exports, "attempts", function);
	return exports;
}
#endif
