// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace whodns
{

// Whether this process effectively holds what loading tracing programs asks for: CAP_SYS_ADMIN, or CAP_BPF with
// CAP_PERFMON (kernels from 5.8). True in a user namespace too, where it does not help.
bool has_bpf_capabilities();

} // namespace whodns
