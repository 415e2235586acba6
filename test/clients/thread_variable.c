/*
 * The variable of OTEP 4947, and the only access to it. Part of the executable or a shared library of its own; LARGE gives that
 * library a thread-local block too large for what the C library keeps free for libraries that come late.
 */
#include <stddef.h>

__attribute__((visibility("default"))) __thread void *otel_thread_ctx_v1;

#ifdef LARGE
__attribute__((visibility("default"))) __thread char large[1 << 20];
#endif

__attribute__((visibility("default"))) void attach(void *record)
{
	otel_thread_ctx_v1 = record;
}
