// SPDX-License-Identifier: Apache-2.0
// The socket on which a service manager hears of this process (sd_notify(3), "Standalone Implementations").
#pragma once

#include "result.h"

#include <string>

namespace whodns
{

// A datagram socket that is connected to `path` (`@name`: abstract) and never blocks: each write(2) on it is one message. The caller
// owns the descriptor, which no program started later inherits.
Result<int> connect_datagram(const std::string &path);

} // namespace whodns
