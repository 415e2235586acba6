// SPDX-License-Identifier: Apache-2.0
// The thread that empties the kernel's ring. It copies records into batches and hands each to `deliver`; at most
// `kMostInFlight` batches are out at a time. A consumer that is late makes it stop reading: then the kernel's ring
// fills, and the kernel counts what it loses. So this is not a second queue that could overflow unnoticed.
#pragma once

#include "capture.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <pthread.h>

namespace whodns
{

// Records one after the other, each as in bpf/event.h and padded to 8 bytes. A record whose own size is impossible has
// `kind` 0 and the size that was copied.
using Batch = std::vector<std::byte>;

class Reader
{
      public:
	using Deliver = std::function<void(Batch)>; // called on the reader's thread; must not block
	using Ended = std::function<void()>; // called on the reader's thread, last of all, unless it was ended at once

	// `capture` must outlive the reader.
	static Result<std::unique_ptr<Reader>> start(Capture &capture, Deliver deliver, Ended ended);
	// Ends at once: batches not yet delivered are lost. Waits for the thread.
	~Reader();

	// The consumer is done with one batch.
	void release();
	// Asks the thread to detach the programs, empty the ring and call `ended`. Returns at once.
	void finish();

      private:
	Reader(Capture &capture, Deliver deliver, Ended ended);
	void run();
	size_t drain();
	bool wait_for_room();
	void wait_for_data(int interval_ms);
	void signal(std::atomic<bool> &flag);
	bool take(const Ring::Record &record);

	Capture &capture_;
	Deliver deliver_;
	Ended ended_;
	Fd stop_;   // eventfd
	Fd wakeup_; // epoll of the ring (edge-triggered) and stop_
	Batch batch_;
	size_t records_ = 0; // taken since the last drain began
	std::mutex mutex_;
	std::condition_variable room_;
	int in_flight_ = 0; // guarded by mutex_
	std::atomic<bool> finishing_ = false;
	std::atomic<bool> aborted_ = false;
	pthread_t thread_{};
	bool started_ = false;
};

} // namespace whodns
