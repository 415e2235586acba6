/*
 * CPU time of other processes, all their threads together, in ns (clock_getcpuclockid(3)): /proc/PID/stat counts in 10 ms.
 *
 *     cputime PID...
 *
 * One number a line; 0 for a process that is gone.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		clockid_t clock;
		struct timespec t = {};
		if (clock_getcpuclockid(atoi(argv[i]), &clock) == 0)
			clock_gettime(clock, &t);
		printf("%lld\n", t.tv_sec * 1000000000LL + t.tv_nsec);
	}
	return argc < 2 ? 2 : 0;
}
