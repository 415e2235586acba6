// SPDX-License-Identifier: Apache-2.0
#include "notify.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace whodns
{

Result<int> connect_datagram(const std::string &path)
{
	const auto failed = [&](int code) { return Error{"notify", path, code, "", ""}; };
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	// A path ends with a zero byte; an abstract name ends with the address.
	if (path.size() < 2 || path.size() >= sizeof(address.sun_path))
		return failed(EINVAL);
	memcpy(address.sun_path, path.data(), path.size());
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	const auto length =
	    static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '@' ? 0 : 1));
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failed(errno);
	if (connect(fd, reinterpret_cast<const sockaddr *>(&address), length) < 0) {
		const int code = errno;
		close(fd);
		return failed(code);
	}
	return fd;
}

} // namespace whodns
