"""Multicast DNS and LLMNR beyond what the programs of the shelf do: clients and attackers of multicast.test.ts.

multicast.py one-shot GROUP PORT INTERFACE NAME   asks from a port of its own, prints the address told or `nothing`
multicast.py browse ADDRESS TYPE                  python-zeroconf finds the services of TYPE; prints {instance: addresses}
multicast.py lie GROUP PORT INTERFACE OWN LIE     at OWN, answers each question to GROUP with LIE in ways that answer nothing, until killed
multicast.py poison GROUP PORT INTERFACE OWN LIE  answers each question to GROUP with LIE, at once
"""

import json
import os
import socket
import struct
import sys
import time


def name_wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def question_end(message):
    end = 12
    while message[end]:
        end += message[end] + 1
    return end + 5


def address_record(owner, address):
    return owner + struct.pack("!2HIH", 1, 1, 60, 4) + socket.inet_aton(address)


def answer(message, address, number=None, flags=0x8400):
    end = question_end(message)
    number = message[:2] if number is None else struct.pack("!H", number)
    return number + struct.pack("!5H", flags, 1, 1, 0, 0) + message[12:end] + address_record(b"\xc0\x0c", address)


def by_interface(client, interface):
    index = socket.if_nametoindex(interface)
    if client.family == socket.AF_INET6:
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", b"\0" * 4, b"\0" * 4, index))


def one_shot(group, port, interface, name):
    client = socket.socket(socket.AF_INET6 if ":" in group else socket.AF_INET, socket.SOCK_DGRAM)
    by_interface(client, interface)
    number = int.from_bytes(os.urandom(2), "big") | 1
    client.sendto(struct.pack("!6H", number, 0, 1, 0, 0, 0) + name_wire(name) + struct.pack("!2H", 1, 1), (group, int(port)))
    deadline, told = time.monotonic() + 3, "nothing"
    while told == "nothing" and time.monotonic() < deadline:
        client.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            message, peer = client.recvfrom(9000)
        except TimeoutError:
            break
        if peer[1] == int(port) and struct.unpack("!H", message[:2])[0] == number and message[12:].startswith(name_wire(name)):
            told = socket.inet_ntoa(message[-4:])
    print(told)


def browse(address, kind):
    from zeroconf import ServiceBrowser, Zeroconf

    found = {}

    class Listener:
        def add_service(self, zeroconf, kind, name):
            info = zeroconf.get_service_info(kind, name, 3000)
            found[name] = [] if info is None else info.parsed_addresses()

        def update_service(self, *_):
            pass

        def remove_service(self, *_):
            pass

    zeroconf = Zeroconf(interfaces=[address])
    ServiceBrowser(zeroconf, kind, Listener())
    deadline = time.monotonic() + 10
    while not any(found.values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    zeroconf.close()
    print(json.dumps(found))


def member(group, port, interface):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((group, port))
    index = socket.if_nametoindex(interface)
    server.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", socket.inet_aton(group), b"\0" * 4, index))
    return server


def sender(own, port, interface):
    """From `port` of this host, as an answer comes."""
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    out.bind((own, port))
    by_interface(out, interface)
    return out


def lie(group, port, interface, own, address):
    server = member(group, port, interface)
    out, elsewhere = sender(own, port, interface), sender(own, 9999, interface)
    print("ready", flush=True)
    while True:
        message, peer = server.recvfrom(9000)
        if message[2] & 0x80 or peer[0] == own:
            continue
        number = struct.unpack("!H", message[:2])[0]
        other = message[:12] + name_wire("other-name.local") + message[question_end(message) - 4 :]
        for attempt in range(20):
            out.sendto(answer(message, address, number=number ^ (attempt + 1)), peer)  # another id
            elsewhere.sendto(answer(message, address), peer)  # another port
            out.sendto(answer(other, address), peer)  # another question
            out.sendto(message[:2] + b"\x84\0" + bytes([0xFF] * 40), peer)  # no DNS
            # to all, of a name that was not asked for
            out.sendto(b"\0\0\x84\0" + struct.pack("!4H", 0, 1, 0, 0) + address_record(name_wire("nobody.local"), address), (group, port))


def poison(group, port, interface, own, address):
    server, out = member(group, port, interface), sender(own, port, interface)
    print("ready", flush=True)
    while True:
        message, peer = server.recvfrom(9000)
        if not message[2] & 0x80:
            out.sendto(answer(message, address, flags=0x8000), peer)


command, *words = sys.argv[1:]
if command == "one-shot":
    one_shot(*words)
elif command == "browse":
    browse(*words)
else:
    group, port, *rest = words
    (lie if command == "lie" else poison)(group, int(port), *rest)
