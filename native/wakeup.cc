// SPDX-License-Identifier: Apache-2.0
#include "wakeup.h"

#include <cerrno>
#include <sys/epoll.h>

namespace whodns
{

Wakeup::Wakeup(Napi::Env env, const Napi::Function &on_wake)
    : env_(env), on_wake_(Napi::Persistent(on_wake)), context_(env, "whodns")
{
}

Result<std::shared_ptr<Wakeup>> Wakeup::watch(Napi::Env env, int ring_fd, const Napi::Function &on_wake)
{
	uv_loop_t *loop = nullptr;
	if (napi_get_uv_event_loop(env, &loop) != napi_ok)
		return Error{"wakeup", "loop", EINVAL, "", ""};
	std::shared_ptr<Wakeup> wakeup(new Wakeup(env, on_wake));
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
	wakeup->polled_ = wakeup; // from here on libuv has it
	wakeup->poll_.data = wakeup.get();
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

void Wakeup::stop()
{
	if (std::exchange(stopped_, true))
		return;
	uv_close(reinterpret_cast<uv_handle_t *>(&poll_), [](uv_handle_t *handle) {
		auto *self = static_cast<Wakeup *>(handle->data);
		napi_remove_async_cleanup_hook(self->hook_); // also says that an environment need not wait any more
		const Napi::HandleScope scope(self->env_);
		self->polled_.reset();
	});
	ready_ = Fd();
}

void Wakeup::on_ready(uv_poll_t *handle, int, int)
{
	static_cast<Wakeup *>(handle->data)->wake();
}

void Wakeup::wake()
{
	epoll_event event;
	(void)epoll_wait(ready_.get(), &event, 1, 0); // takes the edge: else libuv would find it again at once
	const Napi::HandleScope scope(env_);
	on_wake_.MakeCallback(env_.Global(), std::initializer_list<napi_value>{}, context_);
	if (env_.IsExceptionPending())
		napi_fatal_exception(env_, env_.GetAndClearPendingException().Value());
}

} // namespace whodns
