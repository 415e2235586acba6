/* How a process publishes a process context (OTEP 4719). */
#ifndef WHODNS_TEST_PUBLISH_H
#define WHODNS_TEST_PUBLISH_H

#include "message.h"
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

struct header {
	char signature[8];
	uint32_t version;
	uint32_t payload_size;
	uint64_t published_at;
	uint64_t payload;
};
_Static_assert(sizeof(struct header) == 32, "as in the OTEP");

static inline uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Everything but "prctl" and "memfd" is published in the first form. */
static inline struct header *map_header(const char *how)
{
	int with_memfd = strcmp(how, "prctl") != 0;
	int with_name = strcmp(how, "memfd") != 0;
	int fd = -1;
	struct header *header;

	if (with_memfd) {
		fd = memfd_create("OTEL_CTX", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, sizeof *header))
			die("memfd_create");
	}
	header = mmap(NULL, sizeof *header, PROT_READ | PROT_WRITE,
		      with_memfd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	if (header == MAP_FAILED)
		die("mmap");
	madvise(header, sizeof *header, MADV_DONTFORK);
	/* Without CONFIG_ANON_VMA_NAME the memfd's own name has to do, as the OTEP says. */
	if (with_name && prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, header, sizeof *header, "OTEL_CTX") && !with_memfd)
		die("prctl(PR_SET_VMA_ANON_NAME)");
	return header;
}

/* The order of the OTEP: time 0, the rest, time. */
static inline void publish(struct header *header, const void *payload, uint32_t length)
{
	__atomic_store_n(&header->published_at, 0, __ATOMIC_SEQ_CST);
	header->payload = (uintptr_t)payload;
	header->payload_size = length;
	__atomic_store_n(&header->published_at, now(), __ATOMIC_SEQ_CST);
}

#endif
