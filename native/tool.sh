#!/bin/sh
# Prints the program to use for a tool, nothing and exit code 1 if there is none.
# Version 14 of LLVM comes first: the verifiers of all tested kernels have seen what its clang makes. Then the oldest later one.
# Usage: native/tool.sh clang|llvm-strip|clang-format|bpftool
set -eu
tool=$1

is_new_enough() {
  major=$("$1" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+' | head -n 1 | cut -d. -f1)
  [ "${major:-0}" -ge 14 ]
}

if [ "$tool" = bpftool ]; then
  # Ubuntu's /usr/sbin/bpftool only passes on to one of these, by the name of the running kernel.
  for candidate in /usr/lib/linux-tools/*/bpftool /usr/sbin/bpftool bpftool; do
    "$candidate" version >/dev/null 2>&1 && echo "$candidate" && exit 0
  done
  exit 1
fi
for version in 14 15 16 17 18 19 20 21 22 23; do
  command -v "$tool-$version" && exit 0
done
command -v "$tool" >/dev/null && is_new_enough "$tool" && command -v "$tool"
