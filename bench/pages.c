/*
 * What it costs to come back to a page of memory (4 KiB): ns a page, as JSON. `again`: at once, over 64 MiB; `afterPause`: 8 MiB of it, 100 ms later.
 * Some virtual machines keep page tables of their own for the guest and throw parts of them away: then whoever sleeps pays for all it
 * touches when it wakes, as processor time of its own. On other machines it is some ns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SIZE     (64UL << 20)
#define PART     (8UL << 20)
#define PAGE     4096UL
#define ROUNDS   8
#define PAUSE_US 100000

static double touch(volatile char *bytes, size_t size)
{
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	for (size_t at = 0; at < size; at += PAGE)
		bytes[at]++;
	clock_gettime(CLOCK_MONOTONIC, &after);
	return ((double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec)) /
	       (double)(size / PAGE);
}

int main(void)
{
	char *bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double again = 0, after_pause = 0;

	if (bytes == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	// Large pages would be few.
	madvise(bytes, SIZE, MADV_NOHUGEPAGE);
	touch(bytes, SIZE);
	for (int round = 0; round < ROUNDS; round++)
		again += touch(bytes, SIZE);
	for (int round = 0; round < ROUNDS; round++) {
		usleep(PAUSE_US);
		after_pause += touch(bytes, PART);
	}
	printf("{\"again\":%.0f,\"afterPause\":%.0f}\n", again / ROUNDS, after_pause / ROUNDS);
	return 0;
}
