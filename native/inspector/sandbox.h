// SPDX-License-Identifier: Apache-2.0
// Gives up every right that reading other processes does not take.
#pragma once

namespace inspector
{

// Keeps CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH of what there is, for good: the bounding set is emptied, no_new_privs is set.
void drop_rights();

// System calls of the supervisor: what workers do, and making them.
bool confine_supervisor();

// System calls of a worker: opening and reading.
bool confine_worker();

} // namespace inspector
