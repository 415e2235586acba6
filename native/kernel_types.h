// SPDX-License-Identifier: Apache-2.0
// The types of the running kernel (BTF) that the programs are fitted to: the kernel's own, or those of a file where it has none.
#pragma once

#include "handle.h"
#include "result.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace whodns
{

class KernelTypes
{
      public:
	// `file`: BTF without its archive, whole and checked (src/capture/btf.ts); empty: the kernel's own, of which there may be none.
	static Result<KernelTypes> load(std::span<const std::byte> file);

	// NULL: none.
	const btf *get() const { return types_.get(); }
	bool is_of_file() const { return static_cast<bool>(file_); }
	// Where libbpf finds what came from a file, as long as this lives.
	std::string path() const { return "/proc/self/fd/" + std::to_string(file_.get()); }
	// Whether programs of this section can be loaded: the kernel itself looks up in its own BTF what these are attached to.
	bool serves(std::string_view section) const;

      private:
	BtfHandle types_;
	Fd file_;
};

} // namespace whodns
