// SPDX-License-Identifier: Apache-2.0
// Memory of another process, where no stranger stands behind its pages.
#pragma once

#include "answer.h"
#include "protocol.h"

namespace inspector
{

// Finds out which device the kernel's own shared memory has. False: not possible.
bool learn_shared_memory();

class Memory
{
      public:
	Memory(int directory, uint64_t pid, uint64_t start_ticks, std::span<const Device> devices)
	    : directory_(directory), pid_(pid), start_ticks_(start_ticks), devices_(devices)
	{
	}

	// `length` bytes, or -EACCES: not mapped, or of a file whose owner may not answer; or another negative errno.
	int read(uint64_t address, size_t length, Answer &answer);

      private:
	bool covers(uint64_t address, size_t length) const;
	int load();

	int directory_;
	uint64_t pid_;
	uint64_t start_ticks_;
	std::span<const Device> devices_;
	bool loaded_ = false;
};

} // namespace inspector
