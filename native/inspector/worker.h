// SPDX-License-Identifier: Apache-2.0
// Opens and copies; what the bytes mean is the agent's business.
#pragma once

namespace inspector
{

// What a worker needs and may not find out itself: once, before rights are dropped. False: not possible.
bool prepare();

// Answers requests from `fd` until it is closed.
[[noreturn]] void work(int fd, const char *proc_root);

} // namespace inspector
