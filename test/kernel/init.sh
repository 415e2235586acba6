#!/bin/busybox sh
# First process of the test machine: prepares the kernel's file systems, runs /job, sends what it left in /results through the
# second serial port, powers off. The first serial port is the console.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /results /root /var/lib
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox --install -s /bin
export PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin HOME=/root LANG=C.UTF-8
# Under emulation compiling our own code takes most of the agent's start.
export NODE_COMPILE_CACHE=/tmp/node-compile-cache

mount -t proc none /proc
mount -t sysfs none /sys
mkdir -p /dev/shm /dev/pts
mount -t tmpfs none /dev/shm
mount -t devpts none /dev/pts
mount -t tmpfs none /tmp
chmod 1777 /tmp
mount -t cgroup2 none /sys/fs/cgroup
mount -t bpf none /sys/fs/bpf
mount -t debugfs none /sys/kernel/debug
mount -t tracefs none /sys/kernel/tracing
ln -sf /proc/self/fd /dev/fd
hostname whodns-vm
ip link set lo up
# Debian's default; whoever runs kprobes without CAP_SYS_ADMIN meets it.
sysctl -q -w kernel.perf_event_paranoid=3 2>/dev/null

echo "whodns-vm: $(uname -r) up $(cut -d' ' -f1 /proc/uptime) s, $(awk '/MemAvailable/ {print int($2 / 1024)}' /proc/meminfo) MB free"
cd /whodns 2>/dev/null || cd /
# What tests need is built; what only the host has (test/matrix/record-schema.ts) is left out. The job's output is a result like any other; it also goes to the console, for whoever watches.
( WHODNS_TEST_BUILT=1 sh /job; echo $? >/results/.exit ) 2>&1 | tee /results/.output

results=/dev/ttyS1
# Where the console is no ttyS, the second serial port is the first of them.
[ -e /sys/class/tty/console/active ] && grep -q ttyAMA /sys/class/tty/console/active && results=/dev/ttyS0
stty -F $results raw -echo 2>/dev/null
{
	echo 'whodns-results-begin'
	tar -C /results -cf - . | gzip -1 | base64
	echo 'whodns-results-end'
} >$results
sync
poweroff -f
