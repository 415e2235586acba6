// SPDX-License-Identifier: Apache-2.0
// The capabilities of this process: which it has, which it still needs, and how the others go.
#pragma once

#include "result.h"

#include <cstdint>
#include <optional>

namespace whodns
{

// Whether this process effectively holds what loading tracing programs asks for: CAP_SYS_ADMIN, or CAP_BPF with
// CAP_PERFMON (kernels from 5.8). True in a user namespace too, where it does not help.
bool has_bpf_capabilities();

// The capability without which this kernel lets no one use a map that is open, found by trying on a map of its own. Nothing: it
// asks for none (kernels from 5.19, commit c8644cd0efe7; or kernel.unprivileged_bpf_disabled is 0). Where no map can be made (no memory for
// it) it is the one that this process holds.
std::optional<unsigned> map_capability();

// Takes from every thread, in all five sets, the capabilities that are not in `keep` (a bit each; linux/capability.h). The
// bounding set is left alone where CAP_SETPCAP is not held. `forever` sets no_new_privs too: then no program started later
// can have more either.
Status limit_capabilities(uint64_t keep, bool forever);

} // namespace whodns
