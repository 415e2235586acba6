// SPDX-License-Identifier: Apache-2.0
// What belongs to a thread in the kernel (capabilities, no_new_privs), changed in every thread of this process.
#pragma once

#include "result.h"

namespace whodns
{

// Runs `action` in every thread: Node's own, V8's, libuv's and ours. It may only make system calls (it runs in a signal
// handler) and gives an errno, 0 = done. Threads that start meanwhile are found too; those that start later inherit.
// Not for two threads at once.
Status in_every_thread(int (*action)());

} // namespace whodns
