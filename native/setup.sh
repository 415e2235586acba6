#!/bin/sh
# Makes a checkout ready: Debian packages, npm packages, BPF object, addon, compiled TypeScript.
# Does only what is missing; says what it does. Debian 12 and 13, Ubuntu 22.04 and 24.04; elsewhere it names what must be there.
# Usage: native/setup.sh [build|check|bench|test|STAGE]
#   build  what running needs (default)      check  also what `npm run check` needs
#   test   what all tests need               STAGE  what that stage of the tests needs (test/run.ts)
set -eu
cd "$(dirname "$0")/.."

# Packages of each purpose. `a|b`: the first that is installed or that this release has.
BUILD="make g++ libbpf-dev libelf-dev zlib1g-dev"
CHECK="clang-format-14|clang-format bpftool|linux-tools-generic"
NETWORK="iproute2 util-linux procps dnsmasq-base unbound bind9-dnsutils bind9-host ldnsutils knot-dnsutils busybox-static
 musl-tools tcpdump tshark dnsperf liburing-dev strace python3 curl ca-certificates openjdk-17-jdk-headless|default-jdk-headless libcap2-bin
 binutils file openssl nftables"
OBSERVERS="bpftrace"
# Only measured beside.
PEERS="dnscap"
MACHINES="qemu-system-x86 cpio xz-utils zstd"
BROWSER="chromium fonts-dejavu-core"
ARM64="qemu-system-arm cpio xz-utils binutils file python3 python3-pip"
CONTAINERS="containerd runc docker.io podman uidmap"

say() { printf 'setup: %s\n' "$*" >&2; }

is_installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# Of packages with alternatives: those to install. Nothing for one of which an alternative is there.
missing_packages() {
  for choice in "$@"; do
    found=
    alternatives=$(echo "$choice" | tr '|' ' ')
    for package in $alternatives; do is_installed "$package" && found=1 && break; done
    [ -n "$found" ] && continue
    for package in $alternatives; do
      [ "$package" = "${choice##*|}" ] || [ -n "$(apt-cache policy "$package" 2>/dev/null | grep -v 'Candidate: (none)' | grep Candidate)" ] || continue
      printf '%s ' "$package"
      break
    done
  done
}

# Whoever runs `npm start` or `npm test` has asked for it; others are asked, if someone is there.
agreed() {
  case ${npm_lifecycle_event:-} in start | test) return 0 ;; esac
  { [ -t 0 ] && [ -t 2 ]; } || return 0
  printf 'setup: install these Debian packages: %s? [Y/n] ' "$1" >&2
  read -r answer
  case $answer in '' | [Yy]*) return 0 ;; *) return 1 ;; esac
}

install_packages() {
  # apt-cache knows no package before the first update.
  [ -n "$(apt-cache policy make 2>/dev/null)" ] || apt-get update -qq >/dev/null 2>&1 || true
  missing=$(missing_packages "$@")
  [ -z "$missing" ] && return 0
  if [ "$(id -u)" != 0 ]; then
    say "these packages are missing and only root can install them: $missing"
    say "run: sudo apt-get install --no-install-recommends $missing"
    exit 1
  fi
  agreed "$missing" || exit 1
  say "installing Debian packages: $missing"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # shellcheck disable=SC2086
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1 || {
    cat "$log" >&2
    rm -f "$log"
    say "apt-get failed"
    exit 1
  }
  rm -f "$log"
}

packages_for() {
  echo "$BUILD"
  native/tool.sh clang >/dev/null || echo 'clang-14|clang'
  native/tool.sh llvm-strip >/dev/null || echo 'llvm-14|llvm'
  case $1 in
    build) ;;
    check) echo "$CHECK" ;;
    bench) echo "$CHECK $NETWORK $OBSERVERS $PEERS $MACHINES" ;;
    test) echo "$CHECK $NETWORK $OBSERVERS $MACHINES $CONTAINERS $BROWSER" ;;
    ui) echo "$CHECK $NETWORK $BROWSER" ;;
    kernel | machines) echo "$CHECK $NETWORK $MACHINES" ;;
    arm64) echo "$CHECK $ARM64" ;;
    containers | k8s | deploy) echo "$CHECK $NETWORK $CONTAINERS" ;;
    *) echo "$CHECK $NETWORK" ;;
  esac
}

what=${1:-build}
if command -v dpkg-query >/dev/null 2>&1; then
  # shellcheck disable=SC2046
  install_packages $(packages_for "$what")
else
  say "not a Debian system: make, g++, clang (14 or later), llvm-strip and the headers of libbpf, libelf and zlib are expected"
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
if [ ! -e dist/NOTICES.txt ] || [ -n "$(find src packaging package-lock.json tsconfig.json -newer dist/NOTICES.txt -print -quit)" ]; then
  say "bundling src/ to dist/"
  node packaging/bundle.ts >&2
fi
