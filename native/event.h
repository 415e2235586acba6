// SPDX-License-Identifier: Apache-2.0
// The wire of bpf/event.h for C++, which spells C's _Static_assert differently.
#pragma once

#define _Static_assert static_assert
#include "../bpf/event.h"
#undef _Static_assert
