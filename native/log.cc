// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <bpf/libbpf.h>
#include <cstdarg>
#include <cstdio>

namespace whodns
{
namespace
{

constexpr size_t kKept = 16 * 1024;
thread_local std::string *current = nullptr;

int collect(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (current == nullptr || level > LIBBPF_WARN)
		return 0;
	va_list again;
	va_copy(again, arguments);
	int length = vsnprintf(nullptr, 0, format, arguments);
	if (length > 0) {
		std::string line(static_cast<size_t>(length) + 1, '\0');
		vsnprintf(line.data(), line.size(), format, again);
		line.pop_back();
		current->append(line);
		if (current->size() > kKept)
			current->erase(0, current->size() - kKept);
	}
	va_end(again);
	return length;
}

} // namespace

LibbpfLog::LibbpfLog()
{
	libbpf_set_print(collect);
	current = &text_;
}

LibbpfLog::~LibbpfLog()
{
	current = nullptr;
}

} // namespace whodns
