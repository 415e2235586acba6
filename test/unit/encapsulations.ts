/** One request in every encapsulation that replay reads: frames made by hand from the formats' descriptions. */
import { u16, u32 } from './dns-encode.ts';
import { ipv4, udp } from './pcap-write.ts';

export interface Encapsulated {
  readonly name: string;
  readonly linkType: number;
  readonly frame: Uint8Array;
  /** tshark needs to be told of it, or does not read it. */
  readonly unknownToTshark?: true;
}

/** By default. */
const UNKNOWN_TO_TSHARK = ['QinQ 0x9200', 'pseudowire with control word', 'pseudowire'];
const MACS = Buffer.from('020000000001020000000002', 'hex');
const SNAP = Buffer.from('aaaa03000000', 'hex');
const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const join = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);
const ethernet = (type: number, payload: Uint8Array): Buffer => join(MACS, u16(type), payload);
const label = (value: number, isLast: boolean): Uint8Array => u32((value << 12) | (isLast ? 0x1ff : 0xff));
const little32 = (value: number): Uint8Array => Uint8Array.from(u32(value)).reverse();
const little16 = (value: number): Uint8Array => Uint8Array.from(u16(value)).reverse();

/** @param packet an IPv4 packet */
export function encapsulations(packet: Uint8Array): readonly Encapsulated[] {
  const inner = ethernet(0x0800, packet);
  const ip = (protocol: number, payload: Uint8Array) => ethernet(0x0800, ipv4(payload, { protocol }));
  const datagram = (port: number, payload: Uint8Array) => ip(17, udp(50_000, port, payload));
  const ppp = join(u16(0x0021), packet);
  // Data frame from the distribution system: control, duration, three addresses, sequence.
  const wireless = (control: string, ...rest: Uint8Array[]) =>
    join(bytes(`${control} 0000`), MACS, bytes('020000000003'), u16(0), ...rest);
  const plain = wireless('0802', SNAP, u16(0x0800), packet);
  const onEthernet: readonly Encapsulated[] = [
    ['plain', inner],
    ['VLAN', ethernet(0x8100, join(u16(5), u16(0x0800), packet))],
    ['QinQ 0x88a8', ethernet(0x88a8, join(u16(5), u16(0x8100), u16(6), u16(0x0800), packet))],
    ['QinQ 0x9100', ethernet(0x9100, join(u16(5), u16(0x8100), u16(6), u16(0x0800), packet))],
    ['QinQ 0x9200', ethernet(0x9200, join(u16(5), u16(0x8100), u16(6), u16(0x0800), packet))],
    ['LLC and SNAP', ethernet(packet.length + 8, join(SNAP, u16(0x0800), packet))],
    ['LLC', ethernet(packet.length + 3, join(bytes('060603'), packet))],
    ['PPPoE', ethernet(0x8864, join(bytes('1100 0001'), u16(ppp.length), ppp))],
    ['MPLS', ethernet(0x8847, join(label(16, false), label(17, true), packet))],
    ['MPLS multicast', ethernet(0x8848, join(label(16, true), packet))],
    ['pseudowire with control word', ethernet(0x8847, join(label(16, true), u32(0), inner))],
    ['pseudowire', ethernet(0x8847, join(label(16, true), inner))],
    ['802.1ah', ethernet(0x88e7, join(u32(7), inner))],
    ['GRE', ip(47, join(u16(0), u16(0x0800), packet))],
    [
      'GRE with all fields',
      ip(47, join(u16(0xb000), u16(0x0800), bytes('0000 0000 00000001 00000002'), packet)),
    ],
    ['GRE with Ethernet', ip(47, join(u16(0), u16(0x6558), inner))],
    ['PPTP', ip(47, join(u16(0x3081), u16(0x880b), u16(ppp.length), bytes('0001 00000001 00000001'), ppp))],
    ['ERSPAN I', ip(47, join(u16(0), u16(0x88be), inner))],
    ['ERSPAN II', ip(47, join(u16(0x1000), u16(0x88be), u32(1), bytes('1001000000000000'), inner))],
    ['ERSPAN III', ip(47, join(u16(0x1000), u16(0x22eb), u32(1), bytes('2001000000000000 00000000'), inner))],
    ['IP in IP', ip(4, packet)],
    ['EtherIP', ip(97, join(u16(0x3000), inner))],
    ['MPLS in IP', ip(137, join(label(16, true), packet))],
    ['VXLAN', datagram(4789, join(bytes('08000000 00002a00'), inner))],
    ['VXLAN-GPE', datagram(4790, join(bytes('0c000001 00002a00'), packet))],
    ['Geneve', datagram(6081, join(bytes('0000 6558 00000900'), inner))],
    ['Geneve with option', datagram(6081, join(bytes('0200 6558 00000900 01020301 00000000'), inner))],
    ['GTP-U', datagram(2152, join(bytes('30ff'), u16(packet.length), u32(1), packet))],
    [
      'GTP-U with extension',
      datagram(2152, join(bytes('34ff'), u16(packet.length + 8), u32(1), bytes('00000085 01000000'), packet)),
    ],
    ['L2TP', datagram(1701, join(bytes('0002 0001 0001 ff03'), ppp))],
    ['MPLS in UDP', datagram(6635, join(label(16, true), packet))],
    ['TZSP', datagram(37_008, join(bytes('01000001 01'), inner))],
    [
      'GRE within VXLAN',
      datagram(4789, join(bytes('08000000 00002a00'), ip(47, join(u16(0), u16(0x0800), packet)))),
    ],
  ].map(([name, frame]) => ({
    name: String(name),
    linkType: 1,
    frame: frame as Buffer,
    ...(UNKNOWN_TO_TSHARK.includes(String(name)) ? { unknownToTshark: true as const } : {}),
  }));
  return [
    ...onEthernet,
    {
      name: 'VXLAN by port 8472',
      linkType: 1,
      frame: datagram(8472, join(bytes('08000000 00002a00'), inner)),
      unknownToTshark: true,
    },
    { name: 'token ring', linkType: 6, frame: join(bytes('1040'), MACS, SNAP, u16(0x0800), packet) },
    { name: 'ARCnet', linkType: 7, frame: join(bytes('0102d4 00 0001'), packet) },
    { name: 'ARCnet of RFC 1051', linkType: 7, frame: join(bytes('0102f0'), packet) },
    { name: 'ARCnet of Linux', linkType: 129, frame: join(bytes('01020000d4 00 0001'), packet) },
    { name: 'FDDI', linkType: 10, frame: join(bytes('50'), MACS, SNAP, u16(0x0800), packet) },
    {
      name: 'PPPoE without Ethernet',
      linkType: 51,
      frame: join(bytes('1100 0001'), u16(ppp.length), ppp),
      unknownToTshark: true,
    },
    { name: 'RFC 1483', linkType: 100, frame: join(SNAP, u16(0x0800), packet) },
    { name: 'Cisco HDLC', linkType: 104, frame: join(bytes('0f00'), u16(0x0800), packet) },
    { name: '802.11', linkType: 105, frame: plain },
    { name: '802.11 with QoS', linkType: 105, frame: wireless('8802', u16(0), SNAP, u16(0x0800), packet) },
    { name: 'frame relay', linkType: 107, frame: join(bytes('1841 03 cc'), packet) },
    { name: 'OpenBSD enc', linkType: 109, frame: join(little32(2), bytes('0000000000000000'), packet) },
    {
      name: 'cooked v1',
      linkType: 113,
      frame: join(bytes('0000 0001 0006 020000000001 0000'), u16(0x0800), packet),
    },
    {
      name: 'cooked v1 with VLAN',
      linkType: 113,
      frame: join(bytes('0000 0001 0006 020000000001 0000'), u16(0x8100), u16(5), u16(0x0800), packet),
    },
    {
      name: 'pflog',
      linkType: 117,
      frame: join(bytes('3d02'), Buffer.alloc(62), packet),
      unknownToTshark: true,
    },
    { name: 'radiotap', linkType: 127, frame: join(bytes('00000800 00000000'), plain) },
    {
      name: 'radiotap with padding',
      linkType: 127,
      frame: join(
        bytes('00001100'),
        little32(3),
        bytes('0000000000000000 20'),
        wireless('8802', u16(0), u16(0), SNAP, u16(0x0800), packet),
      ),
    },
    {
      name: 'AVS',
      linkType: 163,
      frame: join(bytes('80211001 00000040'), Buffer.alloc(56), plain),
      unknownToTshark: true,
    },
    { name: 'PPP with direction', linkType: 204, frame: join(bytes('00ff03'), ppp) },
    { name: 'PPI', linkType: 192, frame: join(bytes('0000 0800'), little32(105), plain) },
    {
      name: 'NFLOG',
      linkType: 239,
      frame: join(
        bytes('02000001'),
        little16(8),
        little16(1),
        bytes('08000100'),
        little16(packet.length + 4),
        little16(9),
        packet,
      ),
    },
    {
      name: 'PKTAP',
      linkType: 258,
      frame: join(little32(108), little32(1), little32(1), Buffer.alloc(96), inner),
      unknownToTshark: true,
    },
    {
      name: 'IP over InfiniBand',
      linkType: 242,
      frame: join(Buffer.alloc(40), u16(0x0800), u16(0), packet),
      unknownToTshark: true,
    },
    {
      name: 'cooked v2',
      linkType: 276,
      frame: join(u16(0x0800), u16(0), u32(2), bytes('0001 04 06 0200000000010000'), packet),
    },
    {
      name: 'cooked v2 with VLAN',
      linkType: 276,
      frame: join(
        u16(0x8100),
        u16(0),
        u32(2),
        bytes('0001 04 06 0200000000010000'),
        u16(5),
        u16(0x0800),
        packet,
      ),
    },
  ];
}
