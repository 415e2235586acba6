#!/bin/sh
# Makes a checkout ready: Debian packages, npm packages, BPF object, addon, compiled TypeScript.
# Does only what is missing; says what it does. Debian 12 and 13, Ubuntu 22.04 and 24.04; elsewhere it names what must be there.
# Usage: native/setup.sh [build|check|bench|test|STAGE]
#   build  what running needs (default)      check  also what `npm run check` needs
#   test   what all tests need               STAGE  what that stage of the tests needs (test/run.ts)
set -eu
cd "$(dirname "$0")/.."

# Packages of each purpose. `a|b`: the first that is installed or that this release has.
BUILD="make g++ libelf-dev zlib1g-dev"
# libbpf before 1.0 has not what the addon needs (Ubuntu 22.04: 0.5): then that of Debian 12 is built, with which all kernels are tested.
LIBBPF_MIN=1.0
LIBBPF=libbpf_1.1.2.orig.tar.gz
LIBBPF_SHA256=b50ab60637fb713db78aa98e6ca911ddf13c0799d498a1f6ec03ebffc7dca588
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

# By the package that is installed, or would be.
libbpf_is_old() {
  version=$(apt-cache policy libbpf-dev 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}//p')
  [ -n "$version" ] && dpkg --compare-versions "$version" lt "$LIBBPF_MIN"
}

build_libbpf() {
  [ -e build/libbpf/built ] && return 0
  say "building libbpf: this system's is older than $LIBBPF_MIN"
  folder=$PWD/build/libbpf
  mkdir -p "$folder/objects"
  /usr/lib/apt/apt-helper -qq download-file "http://deb.debian.org/debian/pool/main/libb/libbpf/$LIBBPF" "$folder/$LIBBPF" \
    "SHA256:$LIBBPF_SHA256" >&2
  tar -xzf "$folder/$LIBBPF" -C "$folder"
  make -s -C "$folder"/libbpf-*/src BUILD_STATIC_ONLY=1 NO_PKG_CONFIG=1 CFLAGS='-O2 -fPIC -w' OBJDIR="$folder/objects" \
    INCLUDEDIR="$folder/include" LIBDIR="$folder" UAPIDIR="$folder/include" install install_uapi_headers >"$folder/log" 2>&1 || {
    cat "$folder/log" >&2
    exit 1
  }
  touch "$folder/built"
}

packages_for() {
  echo "$BUILD"
  libbpf_is_old || echo libbpf-dev
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
  # apt-cache knows no package before the first update.
  [ -n "$(apt-cache policy make 2>/dev/null)" ] || apt-get update -qq >/dev/null 2>&1 || true
  # shellcheck disable=SC2046
  install_packages $(packages_for "$what")
  if libbpf_is_old; then build_libbpf; fi
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
