// SPDX-License-Identifier: Apache-2.0
// The system calls that this process may make from now on: syscalls.gen.h, some of them with fixed arguments only.
#pragma once

#include "result.h"

namespace whodns
{

enum class FilterMode {
	enforce, // what is not in the list fails with EPERM, and the kernel's log says so
	log,     // it only gets into the kernel's log (or auditd's)
};

// For every thread and for good. Sets no_new_privs, without which only root may filter.
Status filter_system_calls(FilterMode mode);

} // namespace whodns
