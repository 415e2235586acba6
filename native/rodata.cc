// SPDX-License-Identifier: Apache-2.0
#include "rodata.h"

#include <bpf/btf.h>
#include <cerrno>
#include <cstring>
#include <linux/btf.h>
#include <string_view>

namespace whodns
{
namespace
{

struct Place {
	uint32_t offset;
	uint32_t element_bytes;
	uint32_t elements;
};

Error knob_error(const std::string &name, int code, const char *hint)
{
	return Error{"rodata", name, code, hint, ""};
}

// The type behind typedef, const and volatile.
uint32_t strip(const btf *types, uint32_t id)
{
	const btf_type *type = btf__type_by_id(types, id);
	while (type != nullptr && (btf_is_mod(type) || btf_is_typedef(type))) {
		id = type->type;
		type = btf__type_by_id(types, id);
	}
	return id;
}

bool locate(const btf *types, std::string_view name, Place &place)
{
	int section_id = btf__find_by_name_kind(types, ".rodata", BTF_KIND_DATASEC);
	if (section_id < 0)
		return false;
	const btf_type *section = btf__type_by_id(types, static_cast<uint32_t>(section_id));
	const btf_var_secinfo *variable = btf_var_secinfos(section);
	for (int i = 0; i < btf_vlen(section); i++, variable++) {
		const btf_type *declaration = btf__type_by_id(types, variable->type);
		if (name != btf__name_by_offset(types, declaration->name_off))
			continue;
		const btf_type *type = btf__type_by_id(types, strip(types, declaration->type));
		place = Place{variable->offset, variable->size, 1};
		if (btf_is_array(type)) {
			place.elements = btf_array(type)->nelems;
			place.element_bytes = place.elements == 0 ? 0 : variable->size / place.elements;
		}
		return place.element_bytes == 1 || place.element_bytes == 2 || place.element_bytes == 4 ||
		       place.element_bytes == 8;
	}
	return false;
}

bpf_map *rodata_map(bpf_object *object)
{
	bpf_map *map;
	bpf_object__for_each_map(map, object)
	{
		if (std::string_view(bpf_map__name(map)).ends_with(".rodata"))
			return map;
	}
	return nullptr;
}

void store(std::byte *target, uint64_t value, uint32_t bytes)
{
	const auto low16 = static_cast<uint16_t>(value);
	const auto low32 = static_cast<uint32_t>(value);
	if (bytes == 1)
		*target = static_cast<std::byte>(value);
	else if (bytes == 2)
		memcpy(target, &low16, sizeof low16);
	else if (bytes == 4)
		memcpy(target, &low32, sizeof low32);
	else
		memcpy(target, &value, sizeof value);
}

} // namespace

Status set_knobs(bpf_object *object, const std::vector<Knob> &knobs)
{
	if (knobs.empty())
		return Unit{};
	size_t size = 0;
	bpf_map *map = rodata_map(object);
	const void *initial = map == nullptr ? nullptr : bpf_map__initial_value(map, &size);
	const btf *types = bpf_object__btf(object);
	if (initial == nullptr || types == nullptr)
		return knob_error(knobs.front().name, ENOENT, "the BPF object has no .rodata: build it again");
	std::vector<std::byte> data(size);
	memcpy(data.data(), initial, size);
	for (const Knob &knob : knobs) {
		Place place;
		if (!locate(types, knob.name, place) || place.offset + place.element_bytes * place.elements > size)
			return knob_error(knob.name, ENOENT, "the BPF object has no such setting: build it again");
		if (knob.values.size() > place.elements)
			return knob_error(knob.name, E2BIG, "too many values for this setting");
		for (uint64_t value : knob.values)
			if (place.element_bytes < 8 && value >> (8 * place.element_bytes) != 0)
				return knob_error(knob.name, ERANGE, "value out of range for this setting");
		for (uint32_t i = 0; i < place.elements; i++) // unused elements of an array become 0
			store(data.data() + place.offset + i * place.element_bytes,
			      i < knob.values.size() ? knob.values[i] : 0, place.element_bytes);
	}
	if (int error = bpf_map__set_initial_value(map, data.data(), size); error != 0)
		return knob_error(".rodata", -error, "");
	return Unit{};
}

} // namespace whodns
