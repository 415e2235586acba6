// SPDX-License-Identifier: Apache-2.0
// What agent, supervisor and workers say to each other. src/inspector/protocol.ts writes and reads the same. All numbers are of this
// machine's byte order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace inspector
{

// In front of every message, in both directions. Empty messages have a meaning of their own: from the agent "end the worker of this
// place", to the agent "the worker of this place has ended".
struct Frame {
	uint32_t size;
	uint32_t place;
};

// Workers at once, stuck ones included.
inline constexpr uint32_t PLACES = 8;
inline constexpr size_t MAX_REQUEST = 64 * 1024;
inline constexpr size_t MAX_ANSWER = 2 * 1024 * 1024;

// Instead of a start time: whoever has the pid.
inline constexpr uint64_t ANYONE = ~uint64_t{0};

enum class Kind : uint8_t { inspect = 1, alive = 2 };

// A request about one process. Behind it `devices` times a Device, then `reads` times a Read with its texts.
struct Inspect {
	Kind kind;
	uint8_t reads;
	uint16_t devices;
	uint32_t pid;
	// Field 22 of /proc/PID/stat; 0: whoever has the pid.
	uint64_t start_ticks;
	// Inode of its mount namespace; 0: whichever.
	uint64_t mount_namespace;
};

// Of a file system whose mapped files may be read.
struct Device {
	uint32_t major;
	uint32_t minor;
};

enum class Operation : uint8_t {
	// Bytes of a file of the process's directory; with needles, the lines that hold one of them.
	file = 1,
	// Target of a symbolic link of that directory.
	link = 2,
	// Inode and link count (two u64) of what a link of that directory leads to.
	inode = 3,
	// Memory, if it is mapped and no stranger stands behind it.
	memory = 4,
	// Bytes of a regular file below the process's root.
	root_file = 5,
	// Inode and link count of anything there; a link at the end is not followed.
	root_inode = 6,
	// Inodes (u64) of the sockets that it has open.
	sockets = 7,
};

// Behind it the name and the needles, each of which ends with NUL.
struct Read {
	Operation operation;
	uint8_t reserved;
	uint16_t name_size;
	uint16_t needles_size;
	uint16_t reserved2;
	// Most bytes of the answer.
	uint32_t limit;
	uint32_t reserved3;
	uint64_t address;
};

// Which of many processes still exist. Behind it `count` times a Process; the answer is a byte (0 or 1) for each.
struct Alive {
	Kind kind;
	uint8_t reserved;
	uint16_t count;
	uint32_t reserved2;
};

struct Process {
	uint64_t pid;
	uint64_t start_ticks;
};

// Of Inspect: an int32_t, 0 or an errno (ESTALE: another process has the pid); then for each read an int32_t, its length or the
// negative errno, and the bytes.

static_assert(sizeof(Inspect) == 24 && sizeof(Read) == 24 && sizeof(Alive) == 8 && sizeof(Process) == 16);

} // namespace inspector
