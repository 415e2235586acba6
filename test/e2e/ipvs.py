"""ipvs.py SERVICE BACKEND PORT: a virtual service of the kernel at SERVICE port 53, UDP and TCP, with one real server at BACKEND PORT (masquerading).

As ipvsadm would make it, by generic netlink (include/uapi/linux/ip_vs.h); it goes with the network namespace.
"""

import socket
import struct
import sys

NETLINK_GENERIC, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 16, 16, 3, 1, 2
NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR = 1, 4, 2
IPVS_CMD_NEW_SERVICE, IPVS_CMD_NEW_DEST, IPVS_CMD_ATTR_SERVICE, IPVS_CMD_ATTR_DEST = 1, 5, 1, 2
AF, PROTOCOL, ADDRESS, PORT, SCHEDULER, FLAGS, TIMEOUT, NETMASK = 1, 2, 3, 4, 6, 7, 8, 9
DEST_ADDRESS, DEST_PORT, FORWARD, WEIGHT, UPPER, LOWER, DEST_FAMILY = 1, 2, 3, 4, 5, 6, 11


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def request(channel, family, command, version, attributes):
    body = struct.pack("=BBH", command, version, 0) + attributes
    channel.send(struct.pack("=IHHII", 16 + len(body), family, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body)
    reply = channel.recv(65536)
    (kind,) = struct.unpack_from("=H", reply, 4)
    if kind == NLMSG_ERROR and (error := struct.unpack_from("=i", reply, 16)[0]):
        sys.exit(f"IPVS, command {command}: error {error}")
    return reply[20:]


def family_id(channel):
    name = attribute(CTRL_ATTR_FAMILY_NAME, b"IPVS\0")
    data = request(channel, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, name)
    channel.recv(65536)  # the acknowledgement
    while data:
        length, kind = struct.unpack_from("=HH", data)
        if kind == CTRL_ATTR_FAMILY_ID:
            return struct.unpack_from("=H", data, 4)[0]
        data = data[length + 3 & ~3 :]
    sys.exit("no IPVS")


def main(service, backend, port):
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
    ipvs = family_id(channel)
    family = socket.AF_INET6 if ":" in service else socket.AF_INET
    u32 = lambda value: struct.pack("=I", value)
    for protocol in socket.IPPROTO_UDP, socket.IPPROTO_TCP:
        which = (
            attribute(AF, struct.pack("=H", family))
            + attribute(PROTOCOL, struct.pack("=H", protocol))
            + attribute(ADDRESS, socket.inet_pton(family, service).ljust(16, b"\0"))
            + attribute(PORT, struct.pack("!H", 53))
        )
        mask = u32(128) if family == socket.AF_INET6 else b"\xff" * 4
        how = attribute(SCHEDULER, b"rr\0") + attribute(FLAGS, u32(0) + u32(0xFFFFFFFF)) + attribute(TIMEOUT, u32(0)) + attribute(NETMASK, mask)
        request(channel, ipvs, IPVS_CMD_NEW_SERVICE, 1, attribute(IPVS_CMD_ATTR_SERVICE, which + how))
        destination = (
            attribute(DEST_ADDRESS, socket.inet_pton(family, backend).ljust(16, b"\0"))
            + attribute(DEST_PORT, struct.pack("!H", int(port)))
            + b"".join(attribute(kind, u32(value)) for kind, value in ((FORWARD, 0), (WEIGHT, 1), (UPPER, 0), (LOWER, 0)))
            + attribute(DEST_FAMILY, struct.pack("=H", family))
        )
        both = attribute(IPVS_CMD_ATTR_SERVICE, which) + attribute(IPVS_CMD_ATTR_DEST, destination)
        request(channel, ipvs, IPVS_CMD_NEW_DEST, 1, both)


main(*sys.argv[1:])
