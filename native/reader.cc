// SPDX-License-Identifier: Apache-2.0
#include "reader.h"
#include "event.h"
#include "signals.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

namespace whodns
{
namespace
{

// A batch is handed over when it holds this much: some 100 messages, about a millisecond of JavaScript.
constexpr size_t kBatchBytes = 32 * 1024;
// The record that fills it does not make it grow, which would double it: a message is some 4 KB at most unless configured.
constexpr size_t kBatchCapacity = kBatchBytes + 5 * 1024;
constexpr int kMostInFlight = 16;
// How long the thread sleeps between two looks at the ring: short when busy, so that the ring is hardly ever near full
// (the kernel wakes us early when it is), long when idle.
constexpr int kShortestMs = 5;
constexpr int kLongestMs = 100;
// Memory that others freed is given back to the kernel so often; it takes some hundred microseconds.
constexpr auto kTrimInterval = std::chrono::seconds(20);
// Records in one look from which on the sleep is halved, and below which it is doubled.
constexpr size_t kBusyRecords = 256;
constexpr size_t kQuietRecords = 64;

constexpr size_t padded(size_t bytes)
{
	return (bytes + 7) & ~size_t{7};
}

Error thread_error(const char *what, int code)
{
	return Error{"thread", what, code, "", ""};
}

} // namespace

Reader::Reader(Capture &capture, Deliver deliver, Ended ended)
    : capture_(capture), deliver_(std::move(deliver)), ended_(std::move(ended))
{
}

Result<std::unique_ptr<Reader>> Reader::start(Capture &capture, Deliver deliver, Ended ended)
{
	std::unique_ptr<Reader> reader(new Reader(capture, std::move(deliver), std::move(ended)));
	reader->stop_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	reader->wakeup_ = Fd(epoll_create1(EPOLL_CLOEXEC));
	if (!reader->stop_ || !reader->wakeup_)
		return thread_error("epoll", errno);
	// Level-triggered, the ring would be "ready" whenever it holds one record; edge-triggered it is ready only when
	// the kernel program asked for a wake-up.
	epoll_event ring{.events = EPOLLIN | EPOLLET, .data = {}};
	epoll_event stop{.events = EPOLLIN, .data = {}};
	if (epoll_ctl(reader->wakeup_.get(), EPOLL_CTL_ADD, capture.ring_fd(), &ring) != 0 ||
	    epoll_ctl(reader->wakeup_.get(), EPOLL_CTL_ADD, reader->stop_.get(), &stop) != 0)
		return thread_error("epoll", errno);

	// Signals are for the main thread: the new thread inherits a mask that blocks them all.
	const SignalsBlocked quiet;
	auto body = [](void *self) -> void * {
		static_cast<Reader *>(self)->run();
		return nullptr;
	};
	// not std::thread, which can only throw when the process may have no more threads
	const int error = pthread_create(&reader->thread_, nullptr, body, reader.get());
	if (error != 0)
		return thread_error("start", error);
	reader->started_ = true;
	pthread_setname_np(reader->thread_, "whodns-reader");
	return reader;
}

Reader::~Reader()
{
	if (!started_)
		return;
	signal(aborted_);
	pthread_join(thread_, nullptr);
}

void Reader::finish()
{
	signal(finishing_);
}

void Reader::signal(std::atomic<bool> &flag)
{
	{
		std::lock_guard lock(mutex_);
		flag = true;
	}
	room_.notify_one();
	const uint64_t one = 1;
	if (write(stop_.get(), &one, sizeof one) != sizeof one) {
		// EAGAIN: the counter is at its maximum, so the thread is woken anyway
	}
}

void Reader::release()
{
	{
		std::lock_guard lock(mutex_);
		in_flight_--;
	}
	room_.notify_one();
}

void Reader::run()
{
	int interval = kShortestMs;
	auto trimmed = std::chrono::steady_clock::now();
	while (!finishing_ && !aborted_) {
		wait_for_data(interval);
		// glibc gives back by itself what lies at the end of its heaps, not the holes (malloc/malloc.c: mtrim)
		if (const auto now = std::chrono::steady_clock::now(); now - trimmed > kTrimInterval) {
			malloc_trim(0);
			trimmed = now;
		}
		const size_t records = drain();
		if (records >= kBusyRecords)
			interval = std::max(interval / 2, kShortestMs);
		else if (records < kQuietRecords)
			interval = std::min(interval * 2, kLongestMs);
	}
	capture_.detach();
	if (aborted_)
		return;
	drain(); // nothing is written any more, so this empties the ring
	ended_();
}

void Reader::wait_for_data(int interval_ms)
{
	epoll_event events[2];
	// EINTR and time-out alike: look at the ring
	(void)epoll_wait(wakeup_.get(), events, 2, interval_ms);
}

// Takes everything out of the ring; gives the number of records. Ends early only when aborted.
size_t Reader::drain()
{
	records_ = 0;
	bool more = true;
	while (more && wait_for_room()) {
		batch_.clear();
		batch_.reserve(kBatchCapacity);
		more = capture_.ring().consume([this](const Ring::Record &record) { return take(record); });
		if (batch_.empty())
			break;
		{
			std::lock_guard lock(mutex_);
			in_flight_++;
		}
		deliver_(std::exchange(batch_, {}));
	}
	return records_;
}

bool Reader::wait_for_room()
{
	std::unique_lock lock(mutex_);
	room_.wait(lock, [this] { return in_flight_ < kMostInFlight || aborted_; });
	return !aborted_;
}

// Copies one record; false = the batch is full.
bool Reader::take(const Ring::Record &record)
{
	const size_t size = record.size();
	event_header header{};
	record.copy(&header, std::min(size, sizeof header));
	const bool sane = size >= sizeof header && header.size >= sizeof header && header.size <= size;
	const size_t bytes = sane ? header.size : std::max(size, sizeof header);
	const size_t start = batch_.size();
	batch_.resize(start + padded(bytes)); // zeroes the padding
	record.copy(&batch_[start], std::min(bytes, size));
	if (!sane) {
		header.size = static_cast<uint32_t>(bytes);
		header.kind = 0;
		memcpy(&batch_[start], &header, sizeof header);
	}
	records_++;
	return batch_.size() < kBatchBytes;
}

} // namespace whodns
