"""What DNS does on its way that a name server of the shelf does not show: servers and clients of wire.test.ts.

wire.py serve FAMILY ADDRESS   answers on UDP and TCP port 53 by what the first label asks for, until killed; prints `ready`
wire.py SCENE ADDRESS ZONE     asks as the scene does; prints {NAME: what the program saw} as one line of JSON

First labels: frag-N: UDP, 55 addresses and N bytes of text; pipe-N: N bytes of text; forge: after forged ICMP errors; anything else:
one address.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

PORT = 53


def name_wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def query(name, number):
    """With the offer of 4096 bytes (RFC 6891)."""
    opt = b"\0" + struct.pack("!2HIH", 41, 4096, 0, 0)
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 1) + name_wire(name) + struct.pack("!2H", 1, 1) + opt


def record(kind, data):
    return b"\xc0\x0c" + struct.pack("!2HIH", kind, 1, 60, len(data)) + data


def answer(message):
    end = 12
    while message[end]:
        end += message[end] + 1
    end += 5
    label = message[13 : 13 + message[12]].decode()
    kind, _, size = label.partition("-")
    left = int(size.partition("-")[0]) if kind in ("frag", "pipe") else 0
    addresses = 55 if kind == "frag" else 1
    records = []
    while left > 0:
        piece = min(left, 255)
        records.append(record(16, bytes([piece]) + b"x" * piece))
        left -= piece
    records += [record(1, bytes([192, 0, 2, i + 1])) for i in range(addresses)]
    return message[:2] + b"\x81\x80" + struct.pack("!4H", 1, len(records), 0, 0) + message[12:end] + b"".join(records)


def framed(message):
    return struct.pack("!H", len(message)) + message


def messages_of(stream, most):
    """Up to `most` messages of a stream."""
    data, got = b"", []
    while len(got) < most and (piece := stream.recv(1 << 20)):
        data += piece
        while len(data) >= 2 and len(data) >= 2 + (size := struct.unpack("!H", data[:2])[0]):
            got.append(data[2 : 2 + size])
            data = data[2 + size :]
    return got


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def forge(address, peer, message):
    """ICMP port unreachable that is not about this request, or that the kernel does not take."""
    v6 = ":" in address
    family = socket.AF_INET6 if v6 else socket.AF_INET
    ends = socket.inet_pton(family, peer[0]), socket.inet_pton(family, address)
    other_id = struct.pack("!H", struct.unpack("!H", message[:2])[0] ^ 1) + message[2:]
    for port, quoted, damage in (peer[1] ^ 1, message, 0), (peer[1], other_id, 0), (peer[1], message, 1):
        udp = struct.pack("!4H", port, PORT, 8 + len(quoted), 0) + quoted
        if v6:
            if damage:  # the kernel computes it itself
                continue
            packet = struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + ends[0] + ends[1] + udp
            error, kind = struct.pack("!BBHI", 1, 4, 0, 0) + packet, socket.IPPROTO_ICMPV6
        else:
            packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + ends[0] + ends[1] + udp
            error, kind = struct.pack("!BBHI", 3, 3, 0, 0) + packet, socket.IPPROTO_ICMP
            error = error[:2] + struct.pack("!H", checksum(error) ^ damage) + error[4:]
        with socket.socket(family, socket.SOCK_RAW, kind) as raw:
            raw.sendto(error, (peer[0], 0))


def serve(family, address):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    kind = socket.AF_INET6 if family == "6" else socket.AF_INET
    with open("/proc/sys/net/ipv4/tcp_fastopen", "w", encoding="ascii") as file:
        file.write("3")
    udp, listener = socket.socket(kind, socket.SOCK_DGRAM), socket.socket(kind, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    for server in udp, listener:
        server.bind(socket.getaddrinfo(address, PORT, kind, socket.SOCK_DGRAM)[0][4])
    listener.listen(16)

    def connection(stream):
        # all that is asked is answered at once, with one send
        while asked := stream.recv(1 << 20):
            replies = b""
            while len(asked) >= 2:
                size = struct.unpack("!H", asked[:2])[0]
                while len(asked) < 2 + size:
                    asked += stream.recv(1 << 20)
                replies += framed(answer(asked[2 : 2 + size]))
                asked = asked[2 + size :]
            stream.sendall(replies)

    def streams():
        while True:
            threading.Thread(target=connection, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=streams, daemon=True).start()
    print("ready", flush=True)
    while True:
        message, peer = udp.recvfrom(65535)
        if message[13:18] == b"forge":
            forge(address, peer, message)
            time.sleep(0.3)
        udp.sendto(answer(message), peer)


def datagram(address):
    client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(10)
    client.connect((address, PORT))
    return client


def fragments(address, zone):
    seen = {}
    for number in range(3):
        name = f"frag-2500-{number}.{zone}"
        client = datagram(address)
        client.send(query(name, 100 + number))
        seen[name] = len(client.recv(65535))
    return seen


def pipeline(address, zone):
    """Sixty questions in one send, and their answers in few segments."""
    names = [f"pipe-{(400, 5000)[number == 30]}-{number}.{zone}" for number in range(60)]
    with socket.create_connection((address, PORT), 10) as client:
        client.sendall(b"".join(framed(query(name, number)) for number, name in enumerate(names)))
        time.sleep(0.3)  # all of it is there: read at once
        got = messages_of(client, len(names))
    return {name: len(message) for name, message in zip(names, got)}


def fast_open(address, zone):
    """The first gets the cookie, the others send with the SYN: two of them two messages, one by the socket option."""
    seen = {}
    for number in range(5):
        names = [f"open-{number}-{part}.{zone}" for part in range(1 + (number in (2, 3)))]
        client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        data = b"".join(framed(query(name, 10 * number + i)) for i, name in enumerate(names))
        if number == 4:
            client.setsockopt(socket.IPPROTO_TCP, 30, 1)  # TCP_FASTOPEN_CONNECT
            client.connect((address, PORT))
            client.sendall(data)
        else:
            client.sendto(data, socket.MSG_FASTOPEN, (address, PORT))
        client.settimeout(10)
        seen.update({name: len(message) for name, message in zip(names, messages_of(client, len(names)))})
        client.close()
    return seen


def unreachable(addresses, zone):
    """Of several addresses, each by a connected and an unconnected socket, and with IP options: what the connected one is told."""
    seen = {}
    for number, address in enumerate(addresses.split(",")):
        name = f"connected-{number}.{zone}"
        client = datagram(address)
        client.settimeout(1)  # Linux tells of a route that leads nowhere only who asks for it (ip(7), IP_RECVERR)
        client.send(query(name, number))
        try:
            client.recv(100)
        except OSError as error:
            seen[name] = error.errno
        name = f"unconnected-{number}.{zone}"
        client = socket.socket(client.family, socket.SOCK_DGRAM)
        client.sendto(query(name, number), (address, PORT))
        seen[name] = 0
        name = f"options-{number}.{zone}"
        client = socket.socket(client.family, socket.SOCK_DGRAM)
        if client.family == socket.AF_INET6:  # hop-by-hop and destination options of 8 bytes: padding
            for option in 54, 59:
                client.setsockopt(socket.IPPROTO_IPV6, option, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
        else:
            client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01" * 8)  # no operation
        client.sendto(query(name, number), (address, PORT))
        seen[name] = 0
        time.sleep(0.1)
    return seen


def segments(address, zone):
    """Several questions in one send (udp(7), UDP_SEGMENT), by the socket and by a control message; the last one may be shorter."""
    seen = {}
    for way in "socket", "control":
        client = datagram(address)
        names = [f"{way}-{number}.{zone}" for number in range(5)] + [f"{way}.{zone}"]
        messages = [query(name, number) for number, name in enumerate(names)]
        size = len(messages[0])
        if way == "socket":
            client.setsockopt(17, 103, size)
            client.send(b"".join(messages))
        else:
            client.sendmsg([b"".join(messages)], [(17, 103, struct.pack("=H", size))])
        got = [client.recv(1000) for _ in messages]
        seen.update({name: len(message) for name, message in zip(names, got)})
    return seen


def pages(address, zone):
    """Requests that no send() copies: out of a file and out of a pipe, two in one call."""
    seen = {}
    for way in "sendfile", "splice":
        names = [f"{way}-{number}.{zone}" for number in range(2)]
        data = b"".join(framed(query(name, number)) for number, name in enumerate(names))
        with socket.create_connection((address, PORT), 10) as client:
            if way == "sendfile":
                file = os.memfd_create("requests")
                os.write(file, data)
                os.sendfile(client.fileno(), file, 0, len(data))
            else:
                out, into = os.pipe()
                os.write(into, data)
                os.splice(out, client.fileno(), len(data))
            seen.update({name: len(message) for name, message in zip(names, messages_of(client, len(names)))})
    return seen


def spliced(address, zone):
    """An answer that no receive copies: out of the connection into a pipe. A second connection of the same thread is read as usual."""
    name, after = f"spliced.{zone}", f"received.{zone}"
    out, into = os.pipe()
    with socket.create_connection((address, PORT), 10) as client:
        client.sendall(framed(query(name, 1)))
        client.settimeout(None)
        size = os.splice(client.fileno(), into, 1 << 16)
        got = os.read(out, size)
        with socket.create_connection((address, PORT), 10) as other:
            other.sendall(framed(query(after, 2)))
            return {name: len(got) - 2, after: len(messages_of(other, 1)[0])}


def forged(address, zone):
    client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(10)
    name = f"forge.{zone}"
    client.sendto(query(name, 77), (address, PORT))
    return {name: len(client.recv(1000))}


def zones(devices, zone):
    """One address that is on each of several links, asked by name and by a connected socket."""
    seen = {}
    for device in devices.split(","):
        there = ("fe80::53", PORT, 0, socket.if_nametoindex(device))
        for way in "connect", "sendto":
            name = f"{way}-{device}.{zone}"
            client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            client.settimeout(10)
            if way == "connect":
                client.connect(there)
                client.send(query(name, 5))
            else:
                client.sendto(query(name, 5), there)
            seen[name] = len(client.recv(1000))
        name = f"tcp-{device}.{zone}"
        client = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        client.settimeout(10)
        client.connect(there)
        client.sendall(framed(query(name, 5)))
        seen[name] = len(messages_of(client, 1)[0])
        client.close()
    return seen


SCENES = {
    "fragments": fragments,
    "pipeline": pipeline,
    "fast-open": fast_open,
    "unreachable": unreachable,
    "forged": forged,
    "segments": segments,
    "pages": pages,
    "spliced": spliced,
    "zones": zones,
}

if sys.argv[1] == "serve":
    serve(*sys.argv[2:])
else:
    print(json.dumps(SCENES[sys.argv[1]](*sys.argv[2:])))
