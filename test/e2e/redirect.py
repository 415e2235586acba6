"""Name servers behind a load balancer at the socket: servers, programs of control groups and clients of redirect.test.ts.

redirect.py serve ADDRESS...     answers on UDP and TCP at each ADDRESS/PORT until killed; prints `ready`
redirect.py balance              loads and attaches the programs to this process's control group; prints `ready`, ends with its input
redirect.py ask WAY ADDRESS ZONE asks ADDRESS at port 53; prints {NAME: from where the answer came}
redirect.py every ADDRESSES ZONE  all ways to all of the comma-separated addresses; prints {"pid": own, "seen": {NAME: as above}}
redirect.py direct ADDRESS BACKEND ZONE   asks ADDRESS, then by the same sockets BACKEND/PORT itself

The service is 192.0.2.53 and 2001:db8::53, port 53, the back end that ADDRESS/PORT of the environment's BACKEND4 and BACKEND6. The programs
are made here, instruction by instruction: as load balancers have it (connect4/6, sendmsg4/6, and back in recvmsg4/6).
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys
import threading

SERVICE4, SERVICE6, PORT = "192.0.2.53", "2001:db8::53", 53
LIBC = ctypes.CDLL(None, use_errno=True)


def name_wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def query(name, number):
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + name_wire(name) + struct.pack("!2H", 1, 1)


def answer(message):
    return message[:2] + b"\x81\x80" + struct.pack("!4H", 1, 1, 0, 0) + message[12:] + b"\xc0\x0c" + struct.pack(
        "!2HIH4B", 1, 1, 60, 4, 192, 0, 2, 1
    )


def framed(message):
    return struct.pack("!H", len(message)) + message


def read_framed(stream):
    data = b""
    while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
        piece = stream.recv(65536)
        if not piece:
            return b""
        data += piece
    return data[2:]


# -- servers ----------------------------------------------------------------------------------------------------------


def serve(*places):
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    def datagrams(server):
        while True:
            message, peer = server.recvfrom(65535)
            server.sendto(answer(message), peer)

    def connection(stream):
        while message := read_framed(stream):
            stream.sendall(framed(answer(message)))
        stream.close()

    def streams(server):
        while True:
            threading.Thread(target=connection, args=(server.accept()[0],), daemon=True).start()

    for place in places:
        address, port = place.split("/")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        udp, tcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for server in udp, tcp:
            server.bind((address, int(port)))
        tcp.listen(64)
        threading.Thread(target=datagrams, args=(udp,), daemon=True).start()
        threading.Thread(target=streams, args=(tcp,), daemon=True).start()
    print("ready", flush=True)
    signal.pause()


# -- programs ---------------------------------------------------------------------------------------------------------

BPF_PROG_LOAD, BPF_PROG_ATTACH, BPF_PROG_DETACH, CGROUP_SOCK_ADDR = 5, 8, 9, 18
CONNECT4, CONNECT6, SENDMSG4, SENDMSG6, RECVMSG4, RECVMSG6 = 10, 11, 14, 15, 19, 20
ALLOW_MULTI = 2
# struct bpf_sock_addr (uapi): user_ip4, user_ip6, user_port
IP4, IP6, USER_PORT = 4, 8, 24


def instruction(code, target=0, source=0, offset=0, value=0):
    return struct.pack("<BBhI", code, source << 4 | target, offset, value & 0xFFFFFFFF)


def words_of(address):
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return struct.unpack(f"={len(packed) // 4}I", packed)


def exchange(expected, replacement, mapped):
    """Where the address is `expected`, it and the port become `replacement`; each is (address, port). Returns 1: allowed."""
    code = []

    def place(words):
        if mapped:
            words = (0, 0, socket.htonl(0xFFFF)) + words
        at = IP6 if len(words) == 4 else IP4
        return [(at + 4 * i, word) for i, word in enumerate(words)]

    tests = place(words_of(expected[0])) + [(USER_PORT, socket.htons(expected[1]))]
    stores = place(words_of(replacement[0])) + [(USER_PORT, socket.htons(replacement[1]))]
    body = []
    for at, word in stores:
        body += [instruction(0xB4, 1, value=word), instruction(0x63, 6, 1, at)]
    for index, (at, word) in enumerate(tests):
        rest = 3 * (len(tests) - index - 1) + len(body)
        code += [instruction(0x61, 1, 6, at), instruction(0xB4, 2, value=word), instruction(0x5E, 1, 2, rest)]
    code += body
    return code


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = LIBC.syscall(321, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf {command}")
    return result


def load(kind, parts):
    code = instruction(0xBF, 6, 1)  # r6 = the context
    code += b"".join(b"".join(part) for part in parts) + instruction(0xB7, 0, value=1) + instruction(0x95)
    text, licence, log = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL"), ctypes.create_string_buffer(65536)
    attributes = struct.pack(
        "=IIQQIIQI4x16sIIII", CGROUP_SOCK_ADDR, len(code) // 8, ctypes.addressof(text), ctypes.addressof(licence), 1, len(log),
        ctypes.addressof(log), 0, b"balance", 0, kind, 0, 0,
    )
    try:
        return bpf(BPF_PROG_LOAD, attributes)
    except OSError:
        sys.exit(f"type {kind}: {log.value.decode()}")


def own_group():
    with open("/proc/self/cgroup", encoding="ascii") as file:
        path = next(line.strip().partition("::")[2] for line in file if line.startswith("0::"))
    for root in "/sys/fs/cgroup", "/sys/fs/cgroup/unified":
        if os.path.exists(f"{root}/cgroup.controllers"):
            return root + path
    sys.exit("no cgroup v2")


def balance():
    backend4, backend6 = (os.environ[name].split("/") for name in ("BACKEND4", "BACKEND6"))
    four = (SERVICE4, PORT), (backend4[0], int(backend4[1]))
    six = (SERVICE6, PORT), (backend6[0], int(backend6[1]))
    mapped = [exchange(*four, True)]
    group = os.open(own_group(), os.O_RDONLY | os.O_DIRECTORY)
    attached = []
    for kind, parts in (
        (CONNECT4, [exchange(*four, False)]),
        (CONNECT6, [exchange(*six, False)] + mapped),
        (SENDMSG4, [exchange(*four, False)]),
        (SENDMSG6, [exchange(*six, False)]),
        (RECVMSG4, [exchange(*reversed(four), False)]),
        (RECVMSG6, [exchange(*reversed(six), False), exchange(*reversed(four), True)]),
    ):
        program = load(kind, parts)
        bpf(BPF_PROG_ATTACH, struct.pack("=IIII", group, program, kind, ALLOW_MULTI))
        attached.append((kind, program))
    print("ready", flush=True)
    sys.stdin.read()
    for kind, program in attached:
        bpf(BPF_PROG_DETACH, struct.pack("=IIII", group, program, kind, 0))


# -- clients ----------------------------------------------------------------------------------------------------------


def opened(address, kind):
    client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    client.settimeout(5)
    return client


def from_where(client, size=2000):
    message, peer = client.recvfrom(size)
    return f"{peer[0]}/{peer[1]}" if len(message) > 12 else "nothing"


class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("iov", ctypes.c_void_p), ("iov_length", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int), ("hole", ctypes.c_int), ("sent", ctypes.c_uint)]  # fmt: skip


def name_bytes(address):
    if ":" in address:
        return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", PORT, 0) + socket.inet_pton(socket.AF_INET6, address) + b"\0" * 4
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", PORT) + socket.inet_aton(address) + b"\0" * 8


def send_many(client, messages, address):
    """One sendmmsg(), each message with its name."""
    kept, array = [], (Message * len(messages))()
    name = ctypes.create_string_buffer(name_bytes(address))
    for entry, message in zip(array, messages):
        payload = ctypes.create_string_buffer(message, len(message))
        iov = (ctypes.c_size_t * 2)(ctypes.addressof(payload), len(message))
        kept += [payload, iov]
        entry.name, entry.name_length = ctypes.addressof(name), 28 if ":" in address else 16
        entry.iov, entry.iov_length = ctypes.addressof(iov), 1
    if LIBC.sendmmsg(client.fileno(), array, len(messages), 0) != len(messages):
        raise OSError(ctypes.get_errno(), "sendmmsg")


def ask(way, address, zone):
    seen = {}
    names = [f"{way}-{number}.{zone}" for number in range(3)]
    if way == "tcp":
        client = opened(address, socket.SOCK_STREAM)
        client.connect((address, PORT))
        for number, name in enumerate(names):
            client.sendall(framed(query(name, number)))
            seen[name] = len(read_framed(client))
        client.close()
        return seen
    client = opened(address, socket.SOCK_DGRAM)
    if way == "connected":
        client.connect((address, PORT))
    messages = [query(name, 10 + number) for number, name in enumerate(names)]
    if way == "sendmmsg":
        send_many(client, messages, address)
    for name, message in zip(names, messages):
        if way == "sendto":
            client.sendto(message, (address, PORT))
        elif way == "sendmsg":
            client.sendmsg([message[:5], message[5:]], [], 0, (address, PORT))
        elif way == "connected":
            client.send(message)
        seen[name] = from_where(client)
    return seen


def every(addresses, zone):
    seen = {}
    for index, address in enumerate(addresses.split(",")):
        for way in "connected", "sendto", "sendmsg", "sendmmsg", "tcp":
            seen |= ask(way, address, f"{index}.{zone}")
    return {"pid": os.getpid(), "seen": seen}


def direct(address, backend, zone):
    """The same sockets go to the back end itself, at a port that is no name server's to anyone."""
    place, port = backend.split("/")
    seen = {}
    for way in "sendto", "connected":
        client = opened(address, socket.SOCK_DGRAM)
        for number, there in enumerate(((address, PORT), (place, int(port)), (address, PORT))):
            name = f"{way}-{number}.{zone}"
            if way == "connected":
                client.connect(there)
                client.send(query(name, 30 + number))
            else:
                client.sendto(query(name, 30 + number), there)
            seen[name] = from_where(client)
    # A new socket, which may come to lie where one was that asked the service.
    for number in range(20):
        with opened(address, socket.SOCK_DGRAM) as client:
            client.connect((address, PORT))
        with opened(address, socket.SOCK_DGRAM) as client:
            client.connect((place, int(port)))
            client.send(query(f"new-{number}.{zone}", 60 + number))
            from_where(client)
    return seen


if sys.argv[1] == "serve":
    serve(*sys.argv[2:])
elif sys.argv[1] == "balance":
    balance()
elif sys.argv[1] == "every":
    print(json.dumps(every(*sys.argv[2:])))
elif sys.argv[1] == "direct":
    print(json.dumps(direct(*sys.argv[2:])))
else:
    print(json.dumps(ask(*sys.argv[2:])))
