// SPDX-License-Identifier: Apache-2.0
// What the directory of a process in /proc holds, and what lies below its root.
#pragma once

#include "answer.h"
#include "protocol.h"

namespace inspector
{

// Each gives 0 or a negative errno, and adds to the answer.
int read_file(int directory, const char *name, std::string_view needles, size_t limit, Answer &answer);
int read_link(int directory, const char *name, Answer &answer);
int read_inode(int directory, const char *name, Answer &answer);
int read_sockets(int directory, size_t limit, Answer &answer);
int read_root_file(int directory, const char *proc_root, const char *path, size_t limit, Answer &answer);
int read_root_inode(int directory, const char *path, Answer &answer);

// A file of a directory of /proc itself, never one that a link leads to.
int open_within(int directory, const char *name);

} // namespace inspector
