// SPDX-License-Identifier: Apache-2.0
// Calls JavaScript when there is something to read: the kernel's programs ask for it, since the ring is a quarter full (bpf/emit.h), or
// a timer finds records in it. To be woken for each record would cost more, and so would a timer of JavaScript's that finds nothing.
#pragma once

#include "handle.h"
#include "result.h"

#include <functional>
#include <memory>
#include <napi.h>
#include <uv.h>

namespace whodns
{

// JavaScript's thread only.
class Wakeup
{
      public:
	// Calls `on_wake(waited ms)` from the event loop until `stop` or the end of the environment. Keeps no event loop alive.
	// `has_records` is asked whenever a wait ends.
	static Result<std::shared_ptr<Wakeup>> watch(Napi::Env env, int ring_fd, const Napi::Function &on_wake,
						     std::function<bool()> has_records);
	// Looks for records in `ms`, and after each look without any in twice as long, up to `max_ms`. Keeps the event loop alive.
	void wait(uint64_t ms, uint64_t max_ms);
	// Idempotent. Afterwards nothing is called and the descriptor is closed.
	void stop();

      private:
	Wakeup(Napi::Env env, const Napi::Function &on_wake, std::function<bool()> has_records);
	void look();
	void wake();
	void closed();
	static void on_ready(uv_poll_t *handle, int status, int events);

	Fd ready_; // epoll of the ring, edge-triggered
	uv_poll_t poll_{};
	uv_timer_t timer_{};
	Napi::Env env_;
	Napi::FunctionReference on_wake_;
	std::function<bool()> has_records_;
	Napi::AsyncContext context_;
	napi_async_cleanup_hook_handle hook_ = nullptr;
	std::shared_ptr<Wakeup> polled_; // itself, for as long as libuv has a handle
	int handles_ = 0;
	uint64_t interval_ = 0;
	uint64_t max_interval_ = 0;
	bool stopped_ = false;
};

} // namespace whodns
