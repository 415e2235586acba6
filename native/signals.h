// SPDX-License-Identifier: Apache-2.0
// Keeps signals away from the calling thread for a while.
#pragma once

#include <csignal>

namespace whodns
{

// Blocks all signals of the calling thread until the end of the scope; what arrives meanwhile is delivered then.
class SignalsBlocked
{
      public:
	SignalsBlocked()
	{
		sigset_t all;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before_);
	}
	~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
	SignalsBlocked(const SignalsBlocked &) = delete;
	SignalsBlocked &operator=(const SignalsBlocked &) = delete;

      private:
	sigset_t before_;
};

} // namespace whodns
