// SPDX-License-Identifier: Apache-2.0
// Whether what the programs read of this process is what it is: BTF of another build of the kernel mostly has all the fields, elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace whodns
{

// Of a datagram that this process sent.
struct Sent {
	std::span<const std::byte> payload;
	uint16_t port = 0; // where to, on 127.0.0.1, host order
};

// `records` as Ring::drain gives them, of programs that know no agent. The first thing that is not as it is; nothing: all is.
std::optional<std::string> disagreement(std::span<const std::byte> records, const Sent &sent);

} // namespace whodns
