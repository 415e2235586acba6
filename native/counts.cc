// SPDX-License-Identifier: Apache-2.0
// Capture's maps: reading the kernel's counters, and what user space tells it.
#include "capture.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <numeric>

namespace whodns
{
namespace
{

// Most entries one call of bpf_map_lookup_batch returns; the loop goes on until the map is through.
constexpr uint32_t kBatch = 4096;

Error map_error(const char *name, int code)
{
	return Error{"map", name, code, "", ""};
}

// Values of an array map, by index. One call, but for arrays per CPU before 5.13, which have none for it.
int all_values(int map, uint32_t entries, std::span<uint64_t> values)
{
	std::vector<uint32_t> keys(entries);
	uint32_t count = entries;
	uint32_t position = 0;
	const int all = bpf_map_lookup_batch(map, nullptr, &position, keys.data(), values.data(), &count, nullptr);
	if ((all == 0 || all == -ENOENT) && count == entries)
		return 0;
	for (uint32_t index = 0; index < entries; index++) {
		const auto of_index = values.subspan(values.size() / entries * index);
		if (int error = bpf_map_lookup_elem(map, &index, of_index.data()); error != 0)
			return error;
	}
	return 0;
}

} // namespace

Result<std::vector<uint64_t>> Capture::sums(const char *name) const
{
	const bpf_map *map = bpf_object__find_map_by_name(object_.get(), name);
	if (map == nullptr || bpf_map__value_size(map) != sizeof(uint64_t))
		return map_error(name, ENOENT);
	const bool per_cpu = bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY;
	const int cpus = per_cpu ? libbpf_num_possible_cpus() : 1;
	if (cpus < 1)
		return map_error(name, -cpus);
	const uint32_t entries = bpf_map__max_entries(map);
	std::vector<uint64_t> values(static_cast<size_t>(cpus) * entries);
	if (int error = all_values(bpf_map__fd(map), entries, values); error != 0)
		return map_error(name, -error);
	std::vector<uint64_t> sums;
	for (auto value = values.cbegin(); value != values.cend(); value += cpus)
		sums.push_back(std::accumulate(value, value + cpus, uint64_t{0}));
	return sums;
}

Result<std::vector<std::byte>> Capture::entries(const char *name) const
{
	const bpf_map *map = bpf_object__find_map_by_name(object_.get(), name);
	if (map == nullptr)
		return map_error(name, ENOENT);
	const size_t key_bytes = bpf_map__key_size(map);
	const size_t value_bytes = bpf_map__value_size(map);
	// The kernel returns whole hash buckets and says ENOSPC when one does not fit, so no batch may be smaller than
	// the fullest bucket: the whole map's size is always enough.
	const uint32_t batch = std::min(kBatch, bpf_map__max_entries(map));
	std::vector<std::byte> keys(batch * key_bytes);
	std::vector<std::byte> values(batch * value_bytes);
	std::vector<std::byte> packed;
	uint32_t position = 0; // hash maps: the bucket to go on with (kernel/bpf/hashtab.c), arrays: the index
	bool first = true;
	for (;;) {
		uint32_t count = batch;
		int error = bpf_map_lookup_batch(bpf_map__fd(map), first ? nullptr : &position, &position, keys.data(),
						 values.data(), &count, nullptr);
		if (error != 0 && error != -ENOENT)
			return map_error(name, -error);
		first = false;
		for (uint32_t i = 0; i < count; i++) {
			packed.insert(packed.end(), &keys[i * key_bytes], &keys[i * key_bytes] + key_bytes);
			packed.insert(packed.end(), &values[i * value_bytes], &values[i * value_bytes] + value_bytes);
		}
		if (error == -ENOENT) // the end of the map
			return packed;
	}
}

Status Capture::update(const char *name, std::span<const std::byte> key, std::span<const std::byte> value)
{
	const bpf_map *map = bpf_object__find_map_by_name(object_.get(), name);
	if (map == nullptr)
		return map_error(name, ENOENT);
	if (bpf_map__key_size(map) != key.size() || bpf_map__value_size(map) != value.size())
		return map_error(name, EINVAL);
	if (int error = bpf_map_update_elem(bpf_map__fd(map), key.data(), value.data(), BPF_ANY); error != 0)
		return map_error(name, -error);
	return Unit{};
}

Status Capture::remove(const char *name, std::span<const std::byte> keys)
{
	const bpf_map *map = bpf_object__find_map_by_name(object_.get(), name);
	if (map == nullptr)
		return map_error(name, ENOENT);
	const size_t key_bytes = bpf_map__key_size(map);
	if (keys.size() % key_bytes != 0)
		return map_error(name, EINVAL);
	// One call each: bpf_map_delete_batch stops at the first key that is gone.
	for (; !keys.empty(); keys = keys.subspan(key_bytes))
		if (int error = bpf_map_delete_elem(bpf_map__fd(map), keys.data()); error != 0 && error != -ENOENT)
			return map_error(name, -error);
	return Unit{};
}

uint64_t Capture::recursion_misses() const
{
	uint64_t sum = 0;
	for (const bpf_program *program : programs_) {
		bpf_prog_info info;
		memset(&info, 0, sizeof info);
		uint32_t size = sizeof info;
		// kernels before 5.12 leave the field 0
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0)
			sum += info.recursion_misses;
	}
	return sum;
}

} // namespace whodns
