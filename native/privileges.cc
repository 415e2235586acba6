// SPDX-License-Identifier: Apache-2.0
#include "privileges.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace whodns
{

bool has_bpf_capabilities()
{
	__user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
	__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
	if (syscall(SYS_capget, &header, data) != 0)
		return false;
	auto has = [&data](unsigned capability) {
		return (data[capability / 32].effective >> (capability % 32) & 1) != 0;
	};
	return has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON));
}

} // namespace whodns
