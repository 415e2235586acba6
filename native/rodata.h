// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capture.h"

namespace whodns
{

// Writes knobs into the object's .rodata before it is loaded; types and places come from the object's own BTF.
Status set_knobs(bpf_object *object, const std::vector<Knob> &knobs);

} // namespace whodns
