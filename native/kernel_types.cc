// SPDX-License-Identifier: Apache-2.0
#include "kernel_types.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <vector>

namespace whodns
{
namespace
{

// By these names the programs know whether the kernel gives them typed pointers (bpf/owner.h) and iterators (bpf/repeat.h). Without BTF
// of its own it does not.
constexpr const char *kNamesOfTyped[] = {"BPF_FUNC_get_current_task_btf", "BPF_FUNC_cgrp_storage_get", "bpf_iter_num"};
constexpr std::string_view kNeedOwn[] = {"tp_btf/", "fentry/", "fexit/"};

void hide(std::vector<std::byte> &file, const char *name)
{
	const size_t size = strlen(name) + 1;
	for (auto *at = file.data(), *end = at + file.size();;) {
		at = static_cast<std::byte *>(memmem(at, static_cast<size_t>(end - at), name, size));
		if (at == nullptr)
			return;
		*at = std::byte{'-'};
	}
}

bool write_all(int fd, std::span<const std::byte> bytes)
{
	while (!bytes.empty()) {
		const ssize_t written = write(fd, bytes.data(), bytes.size());
		if (written <= 0)
			return false;
		bytes = bytes.subspan(static_cast<size_t>(written));
	}
	return true;
}

} // namespace

Result<KernelTypes> KernelTypes::load(std::span<const std::byte> file)
{
	KernelTypes loaded;
	if (file.empty()) {
		loaded.types_.reset(btf__load_vmlinux_btf());
		return loaded;
	}
	std::vector<std::byte> bytes(file.begin(), file.end());
	for (const char *name : kNamesOfTyped)
		hide(bytes, name);
	loaded.types_.reset(btf__new(bytes.data(), static_cast<uint32_t>(bytes.size())));
	if (loaded.types_ == nullptr)
		return Error{"btf", "", errno, "", ""};
	loaded.file_ = Fd(memfd_create("whodns-btf", MFD_CLOEXEC));
	if (!loaded.file_ || !write_all(loaded.file_.get(), bytes))
		return Error{"btf", "", errno, "", ""};
	return loaded;
}

bool KernelTypes::serves(std::string_view section) const
{
	return !is_of_file() ||
	       std::ranges::none_of(kNeedOwn, [section](auto each) { return section.starts_with(each); });
}

} // namespace whodns
