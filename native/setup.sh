#!/bin/sh
# Makes a checkout ready: Debian packages, npm packages, BPF object, addon, compiled TypeScript.
# Does only what is missing; says what it does. Usage: native/setup.sh [build|test]
#   build  what running needs (default)      test  also what the tests need
set -eu
cd "$(dirname "$0")/.."

BUILD_PACKAGES="make g++ clang-14 llvm-14 libbpf-dev libelf-dev zlib1g-dev bpftool"
TEST_PACKAGES="clang-format-14 iproute2 util-linux procps dnsmasq-base unbound bind9-dnsutils bind9-host ldnsutils knot-dnsutils
 busybox-static musl-tools tcpdump tshark bpftrace qemu-system-x86 dnsperf liburing-dev cpio strace python3 curl ca-certificates
 openjdk-17-jdk-headless libcap2-bin xz-utils zstd binutils file openssl nftables
 containerd runc docker.io"

say() { printf 'setup: %s\n' "$*" >&2; }

# Debian packages of a list that are not installed.
missing_packages() {
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
  done
}

install_packages() {
  missing=$(missing_packages "$@")
  [ -z "$missing" ] && return 0
  if [ "$(id -u)" != 0 ]; then
    say "these Debian packages are missing and only root can install them: $missing"
    say "run: sudo apt-get install --no-install-recommends $missing"
    exit 1
  fi
  say "installing Debian packages: $missing"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/tmp/whodns-apt.$$ 2>&1 || {
    cat /tmp/whodns-apt.$$ >&2
    say "apt-get failed"
    exit 1
  }
  rm -f /tmp/whodns-apt.$$
}

what=${1:-build}
if command -v dpkg-query >/dev/null 2>&1; then
  # shellcheck disable=SC2086
  install_packages $BUILD_PACKAGES
  # shellcheck disable=SC2086
  [ "$what" = test ] && install_packages $TEST_PACKAGES
else
  say "not a Debian system: make, g++, clang, libbpf, libelf, zlib headers and bpftool are expected to be there"
fi

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say "installing npm packages"
  npm ci --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
fi
PATH="$PWD/node_modules/.bin:$PATH"
export PATH

make --no-print-directory -s -C bpf >&2
make --no-print-directory -s -C native >&2
if [ ! -e dist/main.js ] || [ -n "$(find src package.json tsconfig.json -newer dist/main.js -print -quit)" ]; then
  say "compiling TypeScript to dist/"
  rm -rf dist
  tsc -p src >&2
  cp src/enrich/runtimes/*.proto dist/enrich/runtimes/
  chmod +x dist/main.js
fi
