/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * The verifier checks a global function once, a static one anew for every way that leads to it: too often for the walks
 * over pieces in the tracepoint programs on 5.10. But 6.10 to 6.12 let no global function be called with preemption
 * disabled, as fentry programs do (preempt.h). So there are both: `name` is global and takes numbers only (kernels before
 * 5.12 know no other arguments), `name_static` is for fentry.
 */
#ifndef WHODNS_VARIANTS_H
#define WHODNS_VARIANTS_H

#define GLOBAL_AND_STATIC(name, body, parameters, arguments)                                                           \
	__noinline int name parameters                                                                                 \
	{                                                                                                              \
		return body arguments;                                                                                 \
	}                                                                                                              \
	static __noinline int name##_static parameters                                                                 \
	{                                                                                                              \
		return body arguments;                                                                                 \
	}

#define ONE_OF(fentry, name, ...) ((fentry) ? name##_static(__VA_ARGS__) : name(__VA_ARGS__))

#endif
