/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the BPF object as the agent does: with its calls of functions of the kernel (bpf/kernel_calls.h). */
#ifndef WHODNS_TEST_OBJECT_H
#define WHODNS_TEST_OBJECT_H

#include "../../bpf/kernel_calls.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* `kernel`: its BTF, or NULL. NULL with errno when it cannot be opened. */
static inline struct bpf_object *open_object(const char *path, const struct btf *kernel,
					     const struct bpf_object_open_opts *options)
{
	const int file = open(path, O_RDONLY | O_CLOEXEC);
	struct bpf_object *object;
	struct stat status;
	void *bytes;

	if (file < 0 || fstat(file, &status) != 0)
		return NULL;
	bytes = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	close(file);
	if (bytes == MAP_FAILED)
		return NULL;
	write_kernel_calls(bytes, status.st_size, kernel);
	object = bpf_object__open_mem(bytes, status.st_size, options); /* copied */
	munmap(bytes, status.st_size);
	return object;
}

#endif
