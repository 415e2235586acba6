#!/bin/bash
# Runs in a network namespace of its own (unshare -n): unbound serves rich.test, dig asks for every type over UDP and
# TCP, IPv4 and IPv6; tcpdump records it all. Arguments: directory to work in, directory of this script.
set -euo pipefail
dir=$1
here=$2
ip link set lo up
# Small, so that long answers over UDP come in fragments and those over TCP in segments.
ip link set lo mtu 1280
cat > "$dir/unbound.conf" <<CONF
server:
  interface: 127.0.0.1
  interface: ::1
  access-control: 127.0.0.0/8 allow
  access-control: ::1 allow
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "$dir"
  pidfile: "$dir/unbound.pid"
  use-syslog: no
  logfile: "$dir/unbound.log"
  edns-buffer-size: 4096
  max-udp-size: 4096
  minimal-responses: no
  num-threads: 1
  module-config: "iterator"
  nsid: ascii_rich
  local-zone: "test." nodefault
  local-zone: "refused.example." refuse
  local-zone: "plain.test." static
  local-data: '0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.plain.test. 300 NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG'
  local-data: '2t7b4g4vsa5smi47k61mv5bv1a22bojr.plain.test. 300 NSEC3 1 0 0 - 35mthgpgcu1qg68fab165klnsnk3dpvl A AAAA TYPE65280'
  local-data: 'sig.plain.test. 300 RRSIG A 8 2 86400 20191104052750 20191014122834 56575 example.com. ArdN77gYX/z0mmVRDJmFxZQ5faRmWcKd2Kh3i7Jj9R0='
remote-control:
  control-enable: no
auth-zone:
  name: "rich.test."
  zonefile: "$here/rich.test.zone"
  for-downstream: yes
  for-upstream: no
CONF
unbound -c "$dir/unbound.conf" & unbound=$!
tcpdump -i lo --immediate-mode -U -B 16384 -w "$dir/live.pcap" 'port 53 or ip[6:2] & 0x1fff != 0 or ip6[6] = 44' 2> "$dir/tcpdump.log" & tcpdump=$!
trap 'kill $unbound $tcpdump 2> /dev/null || true' EXIT
for _ in $(seq 100); do
  dig +tries=1 +time=1 @127.0.0.1 ns1.rich.test A > "$dir/ready" 2>&1 && grep -q listening "$dir/tcpdump.log" && break
  sleep 0.05
done
grep -q 'status: NOERROR' "$dir/ready" || { cat "$dir/unbound.log" >&2; exit 1; }

# One dig for all: "dig -f" reads a query per line. The answers are the second oracle.
dig +noall +answer +nosplit +tries=1 +time=2 -f "$dir/queries" > "$dir/dig.out"
drill @127.0.0.1 a.rich.test A > /dev/null
kdig @127.0.0.1 +tcp +keepopen a.rich.test A alias2.rich.test A huge.rich.test TXT > /dev/null
sleep 0.3
kill -INT $tcpdump
wait $tcpdump || true
kill $unbound
wait $unbound || true
trap - EXIT
