// SPDX-License-Identifier: Apache-2.0
// One loaded and attached copy of the BPF object: opened with the programs of one hook family and what was asked for besides.
#pragma once

#include "handle.h"
#include "kernel_types.h"
#include "result.h"
#include "ring.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace whodns
{

// A `const volatile` variable of the object (bpf/config.h) and its value; several values fill an array from its start.
struct Knob {
	std::string name;
	std::vector<uint64_t> values;
};

struct CaptureOptions {
	std::vector<std::byte> object;    // content of the BPF object file
	std::vector<std::byte> btf;       // KernelTypes::load
	std::string family;               // fentry, kprobe or tracepoint: programs named <family>_* are loaded
	std::vector<std::string> besides; // prefixes of further programs to load, e.g. connect_tracepoint
	uint32_t ring_bytes = 0;          // a power of two and a multiple of the page size
	std::vector<Knob> knobs;
};

class Capture
{
      public:
	// Opens, sets the knobs, loads. On error nothing is left in the kernel.
	static Result<std::unique_ptr<Capture>> open(const CaptureOptions &options);

	// From now on the programs run. On error some are attached: to be thrown away.
	Status attach();

	// Detaches all programs and waits until none runs any more: afterwards ring and counters stand still.
	void detach();

	// Programs of the family that were left out because this kernel has nothing to attach them to.
	const std::vector<std::string> &skipped() const { return skipped_; }

	int ring_fd() const { return bpf_map__fd(ring_); }
	const Ring &ring() const { return reading_; }
	// Whether there is something to drain. Now and then gives memory back that was freed meanwhile.
	bool has_records();
	// See Ring::drain. Gives memory back as well.
	size_t drain(std::span<std::byte> to, size_t enough);

	// Values of the array map `name` by index, summed over the CPUs.
	Result<std::vector<uint64_t>> sums(const char *name) const;
	// Entries of the hash or array map `name`, key and value of each after the other.
	Result<std::vector<std::byte>> entries(const char *name) const;
	// Sets an entry of a map; E2BIG: it is full.
	Status update(const char *map, std::span<const std::byte> key, std::span<const std::byte> value);
	// Deletes entries of a map: packed keys. Keys that are not there are ignored.
	Status remove(const char *map, std::span<const std::byte> keys);
	// Runs the kernel left out because the same program was active on that CPU (bpf_prog_info.recursion_misses).
	uint64_t recursion_misses() const;

      private:
	Capture() = default;
	void trim();
	size_t select_programs(const CaptureOptions &options, const KernelTypes &kernel);

	// Order matters: the links go first, the object with programs and maps last.
	ObjectHandle object_;
	std::string family_;
	bpf_map *ring_ = nullptr; // owned by object_
	Ring reading_;
	std::vector<bpf_program *> programs_; // owned by object_
	std::vector<std::string> skipped_;
	std::vector<LinkHandle> links_;
	std::chrono::steady_clock::time_point trimmed_ = std::chrono::steady_clock::now();
};

} // namespace whodns
