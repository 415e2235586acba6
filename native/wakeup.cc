// SPDX-License-Identifier: Apache-2.0
#include "wakeup.h"

#include <algorithm>
#include <cerrno>
#include <sys/epoll.h>

namespace whodns
{

Wakeup::Wakeup(Napi::Env env, const Napi::Function &on_wake, std::function<bool()> has_records)
    : env_(env), on_wake_(Napi::Persistent(on_wake)), has_records_(std::move(has_records)), context_(env, "whodns")
{
}

Result<std::shared_ptr<Wakeup>> Wakeup::watch(Napi::Env env, int ring_fd, const Napi::Function &on_wake,
					      std::function<bool()> has_records)
{
	uv_loop_t *loop = nullptr;
	if (napi_get_uv_event_loop(env, &loop) != napi_ok)
		return Error{"wakeup", "loop", EINVAL, "", ""};
	std::shared_ptr<Wakeup> wakeup(new Wakeup(env, on_wake, std::move(has_records)));
	wakeup->ready_ = Fd(epoll_create1(EPOLL_CLOEXEC));
	if (!wakeup->ready_)
		return Error{"wakeup", "epoll", errno, "", ""};
	// libuv polls level-triggered: so the ring would be ready whenever it holds a record. Edge-triggered it is ready only
	// when the kernel program asked for a wake-up; the epoll that says so is what libuv polls.
	epoll_event ring{.events = EPOLLIN | EPOLLET, .data = {}};
	if (epoll_ctl(wakeup->ready_.get(), EPOLL_CTL_ADD, ring_fd, &ring) != 0)
		return Error{"wakeup", "epoll", errno, "", ""};
	if (int error = uv_poll_init(loop, &wakeup->poll_, wakeup->ready_.get()); error != 0)
		return Error{"wakeup", "poll", -error, "", ""};
	(void)uv_timer_init(loop, &wakeup->timer_); // never fails
	wakeup->polled_ = wakeup;                   // from here on libuv has it
	wakeup->handles_ = 2;
	wakeup->poll_.data = wakeup.get();
	wakeup->timer_.data = wakeup.get();
	uv_unref(reinterpret_cast<uv_handle_t *>(&wakeup->poll_));
	// Asynchronous: the environment of a worker waits until libuv has let go of the handle.
	napi_add_async_cleanup_hook(
	    env, [](napi_async_cleanup_hook_handle, void *self) { static_cast<Wakeup *>(self)->stop(); }, wakeup.get(),
	    &wakeup->hook_);
	if (int error = uv_poll_start(&wakeup->poll_, UV_READABLE, on_ready); error != 0) {
		wakeup->stop();
		return Error{"wakeup", "poll", -error, "", ""};
	}
	return wakeup;
}

void Wakeup::wait(uint64_t ms, uint64_t max_ms)
{
	if (stopped_)
		return;
	interval_ = ms;
	max_interval_ = max_ms;
	const uv_timer_cb look = [](uv_timer_t *handle) { static_cast<Wakeup *>(handle->data)->look(); };
	(void)uv_timer_start(&timer_, look, ms, 0);
}

void Wakeup::look()
{
	if (has_records_())
		wake();
	else
		wait(std::min(2 * interval_, max_interval_), max_interval_);
}

void Wakeup::stop()
{
	if (std::exchange(stopped_, true))
		return;
	const auto on_close = [](uv_handle_t *handle) { static_cast<Wakeup *>(handle->data)->closed(); };
	uv_close(reinterpret_cast<uv_handle_t *>(&poll_), on_close);
	uv_close(reinterpret_cast<uv_handle_t *>(&timer_), on_close);
	ready_ = Fd();
}

void Wakeup::closed()
{
	if (--handles_ > 0)
		return;
	napi_remove_async_cleanup_hook(hook_); // also says that an environment need not wait any more
	const Napi::HandleScope scope(env_);
	polled_.reset();
}

void Wakeup::on_ready(uv_poll_t *handle, int, int)
{
	auto *self = static_cast<Wakeup *>(handle->data);
	epoll_event event;
	(void)epoll_wait(self->ready_.get(), &event, 1, 0); // takes the edge: else libuv would find it again at once
	self->wake();
}

void Wakeup::wake()
{
	(void)uv_timer_stop(&timer_);
	const Napi::HandleScope scope(env_);
	on_wake_.MakeCallback(env_.Global(), {Napi::Number::New(env_, static_cast<double>(interval_))}, context_);
	if (env_.IsExceptionPending())
		napi_fatal_exception(env_, env_.GetAndClearPendingException().Value());
}

} // namespace whodns
