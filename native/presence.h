// SPDX-License-Identifier: Apache-2.0
// Whether this kernel has what a hook family attaches by. Asked before its programs are loaded, which takes hundreds of milliseconds.
#pragma once

#include "kernel_types.h"
#include "result.h"

#include <optional>
#include <string>

namespace whodns
{

struct Absence {
	const char *op; // what the kernel would refuse: load, attach
	int code;       // errno
};

// @param kernel its types; nullptr: unknown, then nothing is absent
std::optional<Absence> absence(const std::string &family, const KernelTypes &kernel);

} // namespace whodns
