/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libbpf does with a file of BTF, without a kernel: fits the kprobe programs of OBJECT to each FILE in a process of its own, and prints
 * a line each: `ok`, `error N` or `signal N`. bpf(2) is answered here, so nothing is loaded and no privileges are needed.
 *
 *   relocate OBJECT FILE...
 */
#define _GNU_SOURCE
#include "../../bpf/kernel_calls.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 20 /* of a loop that does not end */

/* libbpf's way to bpf(2): every map and program is an empty file. */
long syscall(long number, ...)
{
	long a[6];
	va_list arguments;

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	if (number == SYS_bpf) {
		int file = -1;

		if (a[0] != BPF_MAP_CREATE && a[0] != BPF_PROG_LOAD && a[0] != BPF_BTF_LOAD && a[0] != BPF_LINK_CREATE)
			return 0;
		file = open("/dev/null", O_RDWR | O_CLOEXEC);
		return file;
	}
	register long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	if (result < 0 && result > -4096) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

/* The exit code: 0, or 1 with the error on `to`. */
static int relocate(const char *path, const char *file)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = file);
	struct bpf_object *object = bpf_object__open_file(path, &options);
	struct bpf_program *program;
	int error;

	if (!object)
		return 2;
	bpf_object__for_each_program(program, object)
	    bpf_program__set_autoload(program, strncmp(bpf_program__name(program), "kprobe_", 7) == 0);
	error = bpf_object__load(object);
	bpf_object__close(object);
	return error ? 1 : 0;
}

int main(int argc, char **argv)
{
	const struct rlimit limit = {SECONDS, SECONDS}, no_core = {0, 0};

	if (argc < 3)
		return 2;
	libbpf_set_print(quiet);
	setrlimit(RLIMIT_CPU, &limit);
	setrlimit(RLIMIT_CORE, &no_core);
	for (int i = 2; i < argc; i++) {
		int status;
		pid_t child = fork();

		if (child == 0)
			_exit(relocate(argv[1], argv[i]));
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 1;
		if (WIFSIGNALED(status))
			printf("signal %d\n", WTERMSIG(status));
		else
			puts(WEXITSTATUS(status) == 0 ? "ok" : WEXITSTATUS(status) == 1 ? "error" : "no object");
	}
	return 0;
}
