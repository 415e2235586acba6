// SPDX-License-Identifier: Apache-2.0
// Ends the process when its main thread does not turn its event loop any more. JavaScript that never returns cannot be stopped from
// within, so a thread of our own says which code it is and takes the process away: a supervisor starts it again.
#pragma once
#include "result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace whodns
{

struct WatchdogOptions {
	// Two cells that JavaScript writes and that stay for good: how often the event loop turned, and the place in `names`, from 1 on, of
	// whose code runs now (0: no one's).
	const volatile uint32_t *cells;
	std::vector<std::string> names;
	// Processor time of the calling thread without a turn, and time without one in which this thread itself ran.
	unsigned processor_seconds;
	unsigned seconds;
	int exit_code;
};

// Called once, by the thread to be watched.
Status start_watchdog(WatchdogOptions options);

} // namespace whodns
