// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capture.h"

#include <optional>
#include <string>

namespace whodns
{

struct Trial {
	// Whether the attached programs saw a datagram sent for the purpose; nothing = it could not be sent (no loopback).
	std::optional<bool> fires;
};

// Loads and attaches a family, sends one datagram from this process to itself over 127.0.0.1, looks whether the
// kernel's counters moved, and takes everything out again. "Attaches" is not "fires". `ports_knob` names the setting
// that holds the ports to watch: only the trial's own port is watched, so no other traffic is touched.
Result<Trial> try_family(CaptureOptions options, const std::string &ports_knob);

// Types of a file (`options.btf`), if they are any: whether they are this kernel's. The programs are tried on a datagram of this process, of which it
// knows what they have to read. Error `btf`: they read something else.
Status check_types(const CaptureOptions &given, const std::string &ports_knob);

} // namespace whodns
