// SPDX-License-Identifier: Apache-2.0
// Tells the event loop when the kernel's programs ask for a reader: the ring is a quarter full (bpf/emit.h). In between a
// timer looks at it (src/capture/ring-reader.ts), which costs less than to be woken for each record.
#pragma once

#include "handle.h"
#include "result.h"

#include <memory>
#include <napi.h>
#include <uv.h>

namespace whodns
{

// JavaScript's thread only.
class Wakeup
{
      public:
	// Calls `on_wake` from the event loop until `stop` or the end of the environment. Keeps no event loop alive.
	static Result<std::shared_ptr<Wakeup>> watch(Napi::Env env, int ring_fd, const Napi::Function &on_wake);
	// Idempotent. Afterwards nothing is called and the descriptor is closed.
	void stop();

      private:
	Wakeup(Napi::Env env, const Napi::Function &on_wake);
	void wake();
	static void on_ready(uv_poll_t *handle, int status, int events);

	Fd ready_; // epoll of the ring, edge-triggered
	uv_poll_t poll_{};
	Napi::Env env_;
	Napi::FunctionReference on_wake_;
	Napi::AsyncContext context_;
	napi_async_cleanup_hook_handle hook_ = nullptr;
	std::shared_ptr<Wakeup> polled_; // itself, for as long as libuv has poll_
	bool stopped_ = false;
};

} // namespace whodns
