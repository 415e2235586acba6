/* What configure of elfutils would find with each libc that packaging/Makefile builds for. */
#include <features.h>
#include <stdint.h>
#define HAVE_DECL_MEMRCHR 1
#define HAVE_DECL_MEMPCPY 1
#define HAVE_DECL_REALLOCARRAY 1
#define HAVE_ERR_H 1
#define HAVE_VISIBILITY 1
#define HAVE_FALLTHROUGH 1
#define SIZEOF_LONG 8
#define PACKAGE_NAME "elfutils"
#ifdef __GLIBC__
#define HAVE_DECL_POWEROF2 1
#define HAVE_DECL_RAWMEMCHR 1
#else
/* musl has neither. */
#define HAVE_DECL_POWEROF2 0
#define HAVE_DECL_RAWMEMCHR 0
#define rawmemchr(at, byte) memchr((at), (byte), SIZE_MAX)
#endif
#include "eu-config.h"
