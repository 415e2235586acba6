"""Answers that the kernel will refuse, put before the true one on loopback by whoever may send raw packets (CAP_NET_RAW).

forge.py ZONE MODE...: asks one name for each mode, forges an answer (6.6.6.N), and then answers truly (10.1.2.N). Prints
one line of JSON for each: mode, name, the address that the program was given. Run in a network namespace of its own.
"""

import json
import random
import socket
import struct
import sys
import threading

ZONE, MODES = sys.argv[1], sys.argv[2:]
HERE = {4: "127.0.0.1", 6: "::1"}
THERE = {4: "127.0.0.2", 6: "::1"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
TRUE_ANSWER_AFTER = 0.15


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def answer(question, address, padding=0):
    header = question[:2] + b"\x81\x80" + question[4:6] + b"\0\1\0\0" + (b"\0\1" if padding else b"\0\0")
    record = b"\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4" + socket.inet_aton(address)
    # Padding (RFC 7830) in an OPT record
    extra = b"\0" + struct.pack("!HHIHHH", 41, 4096, 0, padding + 4, 12, padding) + bytes(padding) if padding else b""
    return header + question[12:] + record + extra


def sum16(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo(version, protocol, length):
    pack = lambda text: socket.inet_pton(FAMILY[version], text)
    return pack(THERE[version]) + pack(HERE[version]) + struct.pack("!IHBB", length, 0, 0, protocol)


def datagram(version, port, payload, checksum=None, length=None):
    length = 8 + len(payload) if length is None else length
    header = struct.pack("!4H", 53, port, length, 0)
    if checksum is None:
        checksum = sum16(pseudo(version, 17, 8 + len(payload)) + header + payload) or 0xFFFF
    return struct.pack("!4H", 53, port, length, checksum) + payload


def packet(version, protocol, transport, total=None, header_fault=0, other_mac=False):
    """An Ethernet frame on loopback, as given: no kernel mends it."""
    if version == 4:
        total = 20 + len(transport) if total is None else total
        addresses = socket.inet_aton(THERE[4]) + socket.inet_aton(HERE[4])
        header = struct.pack("!BBHHHBBH", 0x45, 0, total, 1, 0, 64, protocol, 0) + addresses
        header = header[:10] + struct.pack("!H", sum16(header) ^ header_fault) + header[12:]
        kind = 0x0800
    else:
        total = len(transport) if total is None else total
        addresses = socket.inet_pton(socket.AF_INET6, THERE[6]) + socket.inet_pton(socket.AF_INET6, HERE[6])
        header = struct.pack("!IHBB", 6 << 28, total, protocol, 64) + addresses
        kind = 0x86DD
    mac = b"\2\0\0\0\0\1" if other_mac else bytes(6)
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("lo", 0))
    raw.send(mac + bytes(6) + struct.pack("!H", kind) + header + transport)
    raw.close()


def forge_datagram(mode, port, question, address):
    version = 6 if mode.endswith("6") else 4
    name = mode[:-1]
    if name == "raw-socket-bad-checksum":
        body = datagram(4, port, answer(question, address), 0xDEAD)
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0)
        header += socket.inet_aton(THERE[4]) + socket.inet_aton(HERE[4])
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        raw.sendto(header + body, (HERE[4], 0))
        return
    padding = {"large-bad-checksum": 3001, "larger-than-copied": 9000, "large": 3001}.get(name, 0)
    body = answer(question, address, padding)
    checksum = {"bad-checksum": 0xDEAD, "large-bad-checksum": 0xDEAD, "larger-than-copied": 0xDEAD, "no-checksum": 0}
    length = {"length-too-long": 9 + len(body), "length-too-short": 7}.get(name)
    transport = datagram(version, port, body, checksum.get(name), length)
    total = len(transport) + (20 if version == 4 else 0)
    packet(
        version,
        17,
        transport,
        total=total + 1 if name == "packet-too-long" else total - 1 if name == "packet-too-short" else None,
        header_fault=1 if name == "bad-header" else 0,
        other_mac=name == "other-address",
    )


def ask_datagram(mode, name, forged, true):
    version = 6 if mode.endswith("6") else 4
    question = struct.pack("!6H", random.randrange(65536), 0x100, 1, 0, 0, 0) + encode(name) + b"\0\1\0\1"
    server = socket.socket(FAMILY[version], socket.SOCK_DGRAM)
    server.bind((THERE[version], 53))
    client = socket.socket(FAMILY[version], socket.SOCK_DGRAM)
    client.settimeout(5)
    client.connect((THERE[version], 53))
    client.send(question)
    _, peer = server.recvfrom(4096)
    forge_datagram(mode, client.getsockname()[1], question, forged)
    timer = threading.Timer(TRUE_ANSWER_AFTER, lambda: server.sendto(answer(question, true), peer))
    timer.start()
    given = client.recv(65535)
    timer.join()
    server.close()
    client.close()
    return given


def ask_stream(mode, name, forged, true):
    question = struct.pack("!6H", random.randrange(65536), 0x100, 1, 0, 0, 0) + encode(name) + b"\0\1\0\1"
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((THERE[4], 53))
    listener.listen()
    watch = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    watch.bind(("lo", 0x0800))
    client = socket.create_connection((THERE[4], 53), 5)
    server, _ = listener.accept()
    client.sendall(struct.pack("!H", len(question)) + question)
    server.recv(4096)
    port = client.getsockname()[1]
    while True:  # the client's segment with the question
        frame = watch.recv(65535)[14:]
        tcp = frame[(frame[0] & 15) * 4 :]
        if frame[9] == 6 and struct.unpack("!HH", tcp[:4]) == (port, 53) and question in frame:
            break
    sequence, acknowledged = struct.unpack("!II", tcp[4:12])
    acknowledged, sequence = acknowledged, (sequence + 2 + len(question)) & 0xFFFFFFFF
    kind = mode[4:]
    message = answer(question, forged)
    payload = struct.pack("!H", len(message)) + message
    place = (acknowledged + (1 << 30 if kind == "out-of-window" else 0)) & 0xFFFFFFFF
    unsent = (sequence + (1 << 20 if kind == "acknowledges-unsent" else 0)) & 0xFFFFFFFF
    flags = 0x08 if kind == "no-acknowledgement" else 0x18
    header = lambda checksum: struct.pack("!HHIIBBHHH", 53, port, place, unsent, 0x50, flags, 512, checksum, 0)
    checksum = sum16(pseudo(4, 6, 20 + len(payload)) + header(0) + payload)
    packet(4, 6, header(checksum ^ 1 if kind == "bad-checksum" else checksum) + payload)
    message = answer(question, true)
    timer = threading.Timer(TRUE_ANSWER_AFTER, lambda: server.sendall(struct.pack("!H", len(message)) + message))
    timer.start()
    given = client.recv(65535)
    timer.join()
    for each in (client, server, listener, watch):
        each.close()
    return given



def admit(knobs):
    """A frame put on loopback by hand has no route: IPv4 takes no 127.0.0.0/8 and no source of its own then, unless told to."""
    for knob, value in knobs.items():
        with open(f"/proc/sys/net/ipv4/conf/lo/{knob}", "w") as file:
            file.write(str(value))


for number, mode in enumerate(MODES, 1):
    name = f"{mode}.{ZONE}"
    admit({"accept_local": int(mode != "own-source4"), "route_localnet": int(mode != "own-network4"), "rp_filter": int(mode == "own-source4")})
    ask = ask_stream if mode.startswith("tcp-") else ask_datagram
    given = ask(mode, name, f"6.6.6.{number}", f"10.1.2.{number}")
    at = given.index(b"\xc0\x0c\0\1\0\1") + 12
    print(json.dumps({"mode": mode, "name": name, "given": socket.inet_ntoa(given[at : at + 4])}), flush=True)
