// SPDX-License-Identifier: Apache-2.0
// Expected failure is a value. C++23's std::expected is not in Debian 12's compiler (GCC 12 with -std=c++20).
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace whodns
{

// What failed, on what, with which errno, what the user can do, and what libbpf and the verifier said.
struct Error {
	std::string op;      // one word: open, family, rodata, ring, load, attach, map, wakeup, start, closed
	std::string subject; // file, program or map
	int code = 0;        // errno, positive; 0 = none
	std::string hint;    // what to do; may be empty
	std::string detail;  // tail of libbpf's and the verifier's log; may be empty
};

template <typename T> class [[nodiscard]] Result
{
      public:
	Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
	Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

	explicit operator bool() const { return state_.index() == 0; }
	T &value() { return *std::get_if<0>(&state_); }
	Error &error() { return *std::get_if<1>(&state_); }

      private:
	std::variant<T, Error> state_;
};

struct Unit {
};
using Status = Result<Unit>;

} // namespace whodns
