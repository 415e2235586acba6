#!/bin/sh
# Fetches into build/toolchain what packaging/Makefile builds with: zig's clang (PyPI) and the sources of libbpf, libelf and zlib (Debian 12).
# Does only what is missing. Needs root nowhere, python3 with pip, apt-get and dpkg-source.
set -eu
cd "$(dirname "$0")/.."
tools=$PWD/build/toolchain
mkdir -p "$tools"

ZIG=0.17.1
if [ "$(cat "$tools/zig/version" 2>/dev/null)" != "$ZIG" ]; then
  rm -rf "$tools/zig"
  python3 -m pip install --quiet --no-deps --no-compile --disable-pip-version-check --root-user-action ignore \
    --require-hashes --only-binary :all: --target "$tools/zig" -r packaging/zig.txt
  echo "$ZIG" >"$tools/zig/version"
fi

# A list of sources of its own: the host's may have none. libbpf is the one that the tests on all kernels were run with.
if [ ! -e "$tools/versions.txt" ]; then
  work=$tools/apt
  rm -rf "$work" "$tools/libbpf" "$tools/elfutils" "$tools/zlib"
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$tools/include"
  key=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb-src [signed-by=$key] http://deb.debian.org/debian bookworm main" >"$work/sources.list"
  apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$work/state" \
      -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && exit 1; }
  }
  apt update
  cd "$work"
  apt source libbpf elfutils zlib
  for name in libbpf elfutils zlib; do mv "$work/$name"-*/ "$tools/$name"; done
  ln -sfn ../libbpf/src "$tools/include/bpf"
  sed -n 's/^\(Source\|Version\): //p' ./*.dsc | paste -d' ' - - >"$tools/versions.txt"
fi
