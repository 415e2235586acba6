// SPDX-License-Identifier: Apache-2.0
#include "privileges.h"
#include "handle.h"
#include "threads.h"

#include <bpf/bpf.h>
#include <cerrno>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace whodns
{
namespace
{

// Of the calling thread.
struct Capabilities {
	__user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3] = {};

	bool read()
	{
		__user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
		return syscall(SYS_capget, &header, words) == 0;
	}
	bool write() const
	{
		__user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
		return syscall(SYS_capset, &header, words) == 0;
	}
	bool has(unsigned capability) const { return (words[capability / 32].effective >> (capability % 32) & 1) != 0; }
	void limit(uint64_t keep)
	{
		for (auto &word : words) {
			const auto kept = static_cast<uint32_t>(keep);
			word.effective &= kept;
			word.permitted &= kept;
			word.inheritable &= kept;
			keep >>= 32;
		}
	}
};

// Parameters of limit_this_thread, which runs in a signal handler.
uint64_t kept = 0;
bool is_forever = false;

// The ambient set follows: it never holds what is not permitted and inheritable (security/commoncap.c, cap_capset).
int limit_this_thread()
{
	Capabilities own;
	if (!own.read())
		return errno;
	for (unsigned capability = 0; capability < 64 && own.has(CAP_SETPCAP); capability++)
		if ((kept >> capability & 1) == 0 && prctl(PR_CAPBSET_READ, capability) == 1 &&
		    prctl(PR_CAPBSET_DROP, capability) != 0)
			return errno;
	own.limit(kept);
	if (!own.write())
		return errno;
	return is_forever && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? errno : 0;
}

} // namespace

bool has_bpf_capabilities()
{
	Capabilities own;
	return own.read() && (own.has(CAP_SYS_ADMIN) || (own.has(CAP_BPF) && own.has(CAP_PERFMON)));
}

std::optional<unsigned> map_capability()
{
	const Fd map(
	    bpf_map_create(BPF_MAP_TYPE_ARRAY, "whodns_trial", sizeof(uint32_t), sizeof(uint64_t), 1, nullptr));
	Capabilities own;
	if (!own.read())
		return std::nullopt;
	if (!map)
		return own.has(CAP_BPF)         ? std::optional<unsigned>(CAP_BPF)
		       : own.has(CAP_SYS_ADMIN) ? std::optional<unsigned>(CAP_SYS_ADMIN)
						: std::nullopt;
	auto works_with = [&](uint64_t keep) {
		Capabilities fewer = own;
		for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
			fewer.words[i].effective &= static_cast<uint32_t>(keep >> (32 * i));
		const uint32_t key = 0;
		uint64_t value;
		return fewer.write() && bpf_map_lookup_elem(map.get(), &key, &value) == 0;
	};
	std::optional<unsigned> needed;
	if (!works_with(0))
		needed = works_with(uint64_t{1} << CAP_BPF) ? CAP_BPF : CAP_SYS_ADMIN;
	own.write();
	return needed;
}

Status limit_capabilities(uint64_t keep, bool forever)
{
	kept = keep;
	is_forever = forever;
	return in_every_thread(limit_this_thread);
}

} // namespace whodns
