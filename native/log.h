// SPDX-License-Identifier: Apache-2.0
// libbpf prints to stderr unless told otherwise. Here its warnings, with the verifier's log in them, are kept for the
// error that follows; nothing is printed.
#pragma once

#include <string>

namespace whodns
{

// While it lives, this thread's libbpf warnings are collected; the last 16 KB are kept (the end of a verifier log
// holds the reason). One at a time per thread.
class LibbpfLog
{
      public:
	LibbpfLog();
	~LibbpfLog();
	LibbpfLog(const LibbpfLog &) = delete;
	LibbpfLog &operator=(const LibbpfLog &) = delete;

	const std::string &text() const { return text_; }

      private:
	std::string text_;
};

} // namespace whodns
