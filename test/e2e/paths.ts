/**
 * Ways of a packet between a client and a server: devices on top of each other, across namespaces. Each is a shell script with `c`,
 * `h` and `s` to run a program in the client's namespace, in that of the host between (if it is used) and in the server's.
 * Device `far` of the server is the other end of `near`; `link WHERE` makes that pair with `near` there.
 */

export const SERVER4 = '10.99.0.2';
export const SERVER6 = 'fd99::2';

export interface Path {
  readonly name: string;
  readonly script: string;
  /** Kernel modules that it takes. */
  readonly modules: readonly string[];
  /** The client's programs run in the namespace of the host. */
  readonly inHost?: true;
  /** It takes nft. */
  readonly nft?: true;
  /** It has no IPv6. */
  readonly only4?: true;
  /** In the short run on every kernel too: what most depends on the kernel's own code. */
  readonly short?: boolean;
  /** By kernel (kernels.txt): why it is left out there. */
  readonly except?: Readonly<Record<string, string>>;
}

const VETH = ['veth'];
const BRIDGE = ['bridge', ...VETH];
const VLAN = ['8021q', ...VETH];

/** In mode l3 the host routes what leaves, and nobody answers for the addresses of containers (ARP, neighbour discovery). */
const L3_ROUTES = `
h ip addr add 10.99.0.254/24 dev near
h ip addr add fd99::fe/64 dev near nodad
s ip route add 10.99.0.1 via 10.99.0.254
s ip route add fd99::1 via fd99::fe`;

/** A tunnel between 10.98.0.1 and 10.98.0.2. @param words of `ip link add`, for either end */
const tunnel = (words: (local: number, remote: number) => string): string => `link c
c ip addr add 10.98.0.1/24 dev near
s ip addr add 10.98.0.2/24 dev far
c ip link add t0 ${words(1, 2)}
s ip link add t0 ${words(2, 1)}
client c t0
server t0`;

export const PATHS: readonly Path[] = [
  { name: 'a veth pair', modules: VETH, script: 'link c\nclient c near\nserver far' },
  {
    name: 'a bridge of the host itself',
    modules: BRIDGE,
    inHost: true,
    script: 'link h\nh ip link add br0 type bridge\nh ip link set near master br0\nclient h br0\nserver far',
  },
  {
    name: 'a container behind a bridge',
    modules: BRIDGE,
    script: `link h
ip link add in0 netns $H type veth peer name eth0 netns $C
h ip link add br0 type bridge
for port in near in0; do h ip link set $port master br0; h ip link set $port up; done
h ip link set br0 up
client c eth0
server far`,
  },
  {
    name: 'a container behind a router that translates (masquerade)',
    modules: VETH,
    nft: true,
    only4: true,
    script: `link h
ip link add in0 netns $H type veth peer name eth0 netns $C
h ip addr add 10.98.0.1/24 dev in0
h ip link set in0 up
h ip addr add 10.99.0.1/24 dev near
h sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
h nft 'table ip nat { chain out { type nat hook postrouting priority 100; oifname near masquerade; }; }'
c ip addr add 10.98.0.2/24 dev eth0
c ip link set eth0 up
c ip route add default via 10.98.0.1
server far`,
  },
  ...(['bridge', 'private', 'vepa'] as const).map((mode) => ({
    name: `a container on macvlan (${mode})`,
    modules: ['macvlan', ...VETH],
    script: `link h
h ip link add mac0 link near type macvlan mode ${mode}
h ip link set mac0 netns $C
client c mac0
server far`,
  })),
  {
    name: 'two containers on macvlan of one device',
    modules: ['macvlan', ...VETH],
    short: true,
    script: `link h
for where in $C $S; do
  h ip link add mac0 link near type macvlan mode bridge
  h ip link set mac0 netns $where
done
client c mac0
server mac0`,
  },
  {
    name: 'macvlan on the host itself',
    modules: ['macvlan', ...VETH],
    inHost: true,
    script: 'link h\nh ip link add mac0 link near type macvlan mode bridge\nclient h mac0\nserver far',
  },
  ...(['l2', 'l3'] as const).flatMap((mode) => [
    {
      name: `a container on ipvlan (${mode})`,
      modules: ['ipvlan', ...VETH],
      short: mode === 'l2',
      script: `link h
h ip link add ipv0 link near type ipvlan mode ${mode}
h ip link set ipv0 netns $C
client c ipv0
server far${mode === 'l3' ? L3_ROUTES : ''}`,
    } as const,
    {
      name: `two containers on ipvlan (${mode}) of one device`,
      modules: ['ipvlan', ...VETH],
      script: `link h
for where in $C $S; do
  h ip link add ipv0 link near type ipvlan mode ${mode}
  h ip link set ipv0 netns $where
done
client c ipv0
server ipv0`,
    },
  ]),
  {
    name: 'a VLAN',
    modules: VLAN,
    script: `link c
c ip link add near.5 link near type vlan id 5
s ip link add far.5 link far type vlan id 5
client c near.5
server far.5`,
  },
  {
    name: 'a container on a VLAN of the host',
    modules: VLAN,
    short: true,
    script: `link h
h ip link add vlan5 link near type vlan id 5
h ip link set vlan5 netns $C
s ip link add far.5 link far type vlan id 5
client c vlan5
server far.5`,
  },
  {
    name: 'a VLAN in a VLAN, its tags in the frame (reorder_hdr off)',
    modules: VLAN,
    except: { '7.2': 'its requests do not arrive there' },
    script: `link c
c ip link add near.5 link near type vlan proto 802.1ad id 5 reorder_hdr off
c ip link set near.5 up
c ip link add near.5.6 link near.5 type vlan id 6 reorder_hdr off
s ip link add far.5 link far type vlan proto 802.1ad id 5
s ip link set far.5 up
s ip link add far.5.6 link far.5 type vlan id 6
client c near.5.6
server far.5.6`,
  },
  // the other end takes from both (balance-rr) or leaves the second copy (broadcast)
  ...(['active-backup', 'balance-rr', 'broadcast'] as const).map((mode) => ({
    name: `a bond (${mode}) with a VLAN on it`,
    modules: ['bonding', ...VLAN],
    script: `link c
ip link add near2 netns $C type veth peer name far2 netns $S
bond() {
  $1 ip link add bond0 type bond mode $4 miimon 100
  for port in $2 $3; do $1 ip link set $port down; $1 ip link set $port master bond0; done
  $1 ip link set bond0 up
  $1 ip link add bond0.7 link bond0 type vlan id 7
}
bond c near near2 ${mode}
bond s far far2 ${mode === 'balance-rr' ? mode : 'active-backup'}
client c bond0.7
server bond0.7`,
  })),
  {
    name: 'VXLAN',
    modules: ['vxlan', ...VETH],
    short: true,
    script: tunnel(
      (local, remote) => `type vxlan id 5 dstport 4789 local 10.98.0.${local} remote 10.98.0.${remote}`,
    ),
  },
  {
    name: 'VXLAN without checksum offload',
    modules: ['vxlan', ...VETH],
    script: `${tunnel((local, remote) => `type vxlan id 5 dstport 4789 local 10.98.0.${local} remote 10.98.0.${remote} udpcsum`)}
c python3 -c "$CHECKSUMS_OFF" near
c python3 -c "$CHECKSUMS_OFF" t0`,
  },
  {
    name: 'Geneve',
    modules: ['geneve', ...VETH],
    script: tunnel((_, remote) => `type geneve id 5 remote 10.98.0.${remote}`),
  },
  {
    name: 'GRE',
    modules: ['ip_gre', ...VETH],
    script: tunnel((local, remote) => `type gre local 10.98.0.${local} remote 10.98.0.${remote}`),
  },
  {
    name: 'Ethernet in GRE',
    modules: ['ip_gre', ...VETH],
    script: tunnel((local, remote) => `type gretap local 10.98.0.${local} remote 10.98.0.${remote}`),
  },
  {
    name: 'IP in IP',
    modules: ['ipip', ...VETH],
    only4: true,
    script: tunnel((local, remote) => `type ipip local 10.98.0.${local} remote 10.98.0.${remote}`),
  },
  {
    name: 'a VRF',
    modules: ['vrf', ...VETH],
    inHost: true,
    script: `link h
h ip link add red type vrf table 10
h ip link set red up
h ip link set near master red
h sh -c 'echo 1 >/proc/sys/net/ipv4/udp_l3mdev_accept; echo 1 >/proc/sys/net/ipv4/tcp_l3mdev_accept'
h ip rule add from all lookup 10 pref 500
h ip -6 rule add from all lookup 10 pref 500
client h near
server far`,
  },
];

/** What the scripts are written in. `$C`, `$H`, `$S` are processes in the namespaces. */
export const PRELUDE = `set -e
# by their paths: the shell of the test machines, busybox, has an ip and an nsenter of its own
ip() { /usr/bin/ip "$@"; }
inside() {
  pid=$1
  shift
  if [ "$1" = ip ]; then shift; set -- /usr/bin/ip "$@"; fi
  /usr/bin/nsenter -t $pid -n "$@"
}
c() { inside $C "$@"; }
h() { inside $H "$@"; }
s() { inside $S "$@"; }
# ethtool -K DEVICE tx off: SIOCETHTOOL with ETHTOOL_STXCSUM
CHECKSUMS_OFF='import fcntl, socket, struct, sys, array
value = array.array("B", struct.pack("II", 0x17, 0))
request = struct.pack("16sP16x", sys.argv[1].encode(), value.buffer_info()[0])
fcntl.ioctl(socket.socket(), 0x8946, request)'
link() {
  case $1 in c) where=$C ;; h) where=$H ;; esac
  ip link add near netns $where type veth peer name far netns $S
  $1 ip link set near up
  s ip link set far up
}
client() {
  $1 ip addr add 10.99.0.1/24 dev $2
  $1 ip addr add fd99::1/64 dev $2 nodad
  $1 ip link set $2 up
}
server() {
  s ip addr add 10.99.0.2/24 dev $1
  s ip addr add fd99::2/64 dev $1 nodad
  s ip link set $1 up
}
`;
