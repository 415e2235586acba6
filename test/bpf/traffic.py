"""DNS traffic of every kind a program can make, over loopback, with what must be seen of it as JSON lines on stdout.

Runs a responder of its own on port 53 of 127.0.0.1 and ::1: give it a network namespace of its own. Each line is one
connected conversation: {name, pid, tid, comm, protocol, family, requests: [hex], responses: [hex]}; for TCP the lists hold
the whole stream of each direction. `clients` names programs that were run: {name, client, pid}.
"""

import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

PORT = 53
counter = 0
kept = []


def query(label):
    """A query for a name that occurs once, so that events can be told apart."""
    global counter
    counter += 1
    labels = f"{label}-{counter}".encode(), b"bpf", b"test"
    name = b"".join(bytes([len(part)]) + part for part in labels) + b"\0"
    return struct.pack("!6H", counter, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1)


def answer(question):
    """The answer of the responder: the question, and as many bytes behind it as a label `bigN-...` asks for."""
    label = question[13 : 13 + question[12]]
    size = int(label[3 : label.index(b"-")]) if label.startswith(b"big") else 0
    reply = question[:2] + b"\x85\x80" + question[4:6] + b"\0\0\0\0\0\0" + question[12:]
    return reply + bytes(i * 7 & 0xFF for i in range(max(0, size - len(reply))))


def serve():
    """Answers on both loopback addresses until killed."""

    def udp(family, address):
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.bind((address, PORT))
        while True:
            question, peer = server.recvfrom(65535)
            if len(question) >= 17:
                server.sendto(answer(question), peer)

    def connection(stream):
        data = b""
        while piece := stream.recv(65535):
            data += piece
            while len(data) >= 2 and len(data) >= 2 + struct.unpack("!H", data[:2])[0]:
                size = struct.unpack("!H", data[:2])[0]
                reply = answer(data[2 : 2 + size])
                data = data[2 + size :]
                stream.sendall(struct.pack("!H", len(reply)) + reply)
                if reply[13:17] == b"last":
                    return stream.close()
        stream.close()

    def tcp(family, address):
        server = socket.socket(family, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, PORT))
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
        server.listen(64)
        while True:
            threading.Thread(target=connection, args=(server.accept()[0],), daemon=True).start()

    for target in udp, tcp:
        for family, address in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.2"):
            threading.Thread(target=target, args=(family, address), daemon=True).start()
    while True:
        time.sleep(60)


def comm():
    with open("/proc/thread-self/comm", encoding="latin1") as file:
        return file.read().rstrip("\n")


def expect(name, protocol, family, requests, responses, pid=None, tid=None):
    print(
        json.dumps(
            {
                "name": name,
                "pid": pid or os.getpid(),
                "tid": tid or threading.get_native_id(),
                "comm": comm(),
                "protocol": protocol,
                "family": family,
                "requests": [request.hex() for request in requests],
                "responses": [response.hex() for response in responses],
            }
        ),
        flush=True,
    )


def connected(family=socket.AF_INET, address="127.0.0.1"):
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(5)
    client.connect((address, PORT))
    return client


def udp_ways():
    """One datagram each by every call that sends one."""
    ways = {
        "send": lambda s, m: s.send(m),
        "write": lambda s, m: os.write(s.fileno(), m),
        "writev-5": lambda s, m: os.writev(s.fileno(), [m[:1], m[1:12], b"", m[12:20], m[20:]]),
        "sendmsg-2": lambda s, m: s.sendmsg([m[:12], m[12:]]),
        "sendmsg-20": lambda s, m: s.sendmsg([m[i : i + 1] for i in range(16)] + [m[16:]]),
    }
    for name, way in ways.items():
        client, message = connected(), query(name)
        way(client, message)
        expect(name, "udp", 4, [message], [client.recv(65535)])
    client, message = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), query("sendto")
    client.sendto(message, ("127.0.0.1", PORT))
    expect("sendto", "udp", 4, [message], [client.recv(65535)])


def udp_families():
    client, message = connected(socket.AF_INET6, "::1"), query("v6-connected")
    client.send(message)
    expect("v6-connected", "udp", 6, [message], [client.recv(65535)])
    client, message = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), query("v6-sendto")
    client.sendto(message, ("::1", PORT))
    expect("v6-sendto", "udp", 6, [message], [client.recv(65535)])
    client, message = connected(socket.AF_INET6, "::ffff:127.0.0.1"), query("mapped-connected")
    client.send(message)
    expect("mapped-connected", "udp", 4, [message], [client.recv(65535)])
    client, message = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), query("mapped-sendto")
    client.sendto(message, ("::ffff:127.0.0.1", PORT))
    expect("mapped-sendto", "udp", 4, [message], [client.recv(65535)])


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint),
        ("iov", ctypes.POINTER(Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("header", Msghdr), ("length", ctypes.c_uint)]


def udp_sendmmsg():
    client = connected()
    messages = [query("sendmmsg") for _ in range(16)]
    batch = (Mmsghdr * 16)()
    for entry, message in zip(batch, messages):
        entry.header.iov = ctypes.pointer(Iovec(message, len(message)))
        entry.header.iovlen = 1
    sent = ctypes.CDLL(None, use_errno=True).sendmmsg(client.fileno(), batch, 16, 0)
    if sent != 16:
        sys.exit(f"sendmmsg sent {sent}: {os.strerror(ctypes.get_errno())}")
    expect("sendmmsg", "udp", 4, messages, [client.recv(65535) for _ in messages])


def udp_special():
    for size in 600, 5000, 30000, 60000:
        client, message = connected(), query(f"big{size}")
        client.send(message)
        expect(f"answer of {size}", "udp", 4, [message], [client.recv(65535)])
    for size in 4000, 30000:
        client, message = connected(), query("large")
        message += bytes(i * 5 & 0xFF for i in range(size - len(message)))
        client.send(message)
        expect(f"request of {size}", "udp", 4, [message], [client.recv(65535)])
    client, message = connected(), query("peek")
    client.send(message)
    client.recv(65535, socket.MSG_PEEK)
    expect("peek", "udp", 4, [message], [client.recv(65535)])
    client, message = connected(), query("short-buffer")
    client.send(message)
    client.recv(5)
    expect("short-buffer", "udp", 4, [message], [answer(message)])
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("127.0.0.1", 5300))
    client.connect(("127.0.0.1", 5300))
    client.send(query("not-dns"))
    other.recv(65535)


def stream(family=socket.AF_INET, address="127.0.0.1"):
    client = socket.create_connection((address, PORT), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def read_exactly(client, size):
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            sys.exit("the responder closed the connection")
        data += piece
    return data


def prefixed(message):
    return struct.pack("!H", len(message)) + message


def waiting_receives():
    """Receives that wait: of kretprobes at a function the kernel has a place for each call, in some kernels for ten."""
    server = socket.create_server(("127.0.0.1", 0))
    for _ in range(40):
        client = socket.create_connection(server.getsockname())
        kept.append((client, server.accept()[0]))
        threading.Thread(target=client.recv, args=(1,), daemon=True).start()
    time.sleep(0.3)


def tcp_ways():
    message = prefixed(query("tcp"))
    client = stream()
    client.sendall(message)
    reply = read_exactly(client, len(message))
    client.close()
    expect("tcp", "tcp", 4, [message], [reply])

    message = prefixed(query("tcp6"))
    client = stream(socket.AF_INET6, "::1")
    client.sendall(message)
    reply = read_exactly(client, len(message))
    client.close()
    expect("tcp6", "tcp", 6, [message], [reply])

    message = prefixed(query("tcp-split"))
    client = stream()
    for piece in message[:1], message[1:2], message[2:9], message[9:]:
        client.send(piece)
        time.sleep(0.03)
    reply = read_exactly(client, 1) + read_exactly(client, len(message) - 1)
    client.close()
    expect("tcp-split", "tcp", 4, [message], [reply])

    message = prefixed(query("tcp-2-iovecs"))
    client = stream()
    client.sendmsg([message[:2], message[2:]])
    buffers = [bytearray(1), bytearray(1), bytearray(200)]
    received = 0
    while received < len(message):
        received += client.recvmsg_into(buffers)[0]
    client.close()
    expect("tcp-2-iovecs", "tcp", 4, [message], [prefixed(answer(message[2:]))])

    message = prefixed(query("joined")) + prefixed(query("joined"))
    client = stream()
    client.sendall(message)
    reply = read_exactly(client, len(message))
    client.close()
    expect("two in one segment", "tcp", 4, [message], [reply])

    message = prefixed(query("big60000"))
    client = stream()
    client.sendall(message)
    reply = read_exactly(client, 60002)
    client.close()
    expect("tcp answer of 60000", "tcp", 4, [message], [reply])

    message = prefixed(query("tcp-peek"))
    client = stream()
    client.sendall(message)
    client.recv(4, socket.MSG_PEEK)
    reply = read_exactly(client, len(message))
    client.close()
    expect("tcp-peek", "tcp", 4, [message], [reply])

    # The end comes with the same call as the answer, and by a call of its own.
    for is_together in True, False:
        message = prefixed(query("last"))
        client = stream()
        client.sendall(message)
        time.sleep(0.3)
        reply = client.recv(65535 if is_together else len(message))
        client.recv(65535)
        client.close()
        expect(f"tcp and its end, {'together' if is_together else 'apart'}", "tcp", 4, [message], [reply])


TCP_FASTOPEN_CONNECT = 30  # include/uapi/linux/tcp.h


def fast_open(name, family, address, message, first=None, option=False, waits=True):
    """One connection whose first bytes, `first` or all of `message`, are given to the SYN."""
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(10)
    first = first or message
    if option:
        client.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
        client.connect((address, PORT))
        sent = client.send(first)
    elif waits:
        client.setblocking(True)  # with a time-out Python does not wait within the call
        sent = client.sendto(first, socket.MSG_FASTOPEN, (address, PORT))
    else:
        client.setblocking(False)
        try:
            sent = client.sendto(first, socket.MSG_FASTOPEN, (address, PORT))
        except BlockingIOError:  # without a cookie nothing is taken: the program sends again once it is connected
            sent = 0
        client.settimeout(10)
        time.sleep(0.1)
    client.sendall(message[sent:])
    expected = len(message)
    reply = read_exactly(client, expected)
    client.close()
    expect(name, "tcp", 6 if family == socket.AF_INET6 else 4, [message], [reply])


def fast_opens():
    """The first connection to an address gets a cookie, the later ones send with the SYN."""
    with open("/proc/sys/net/ipv4/tcp_fastopen", "w", encoding="ascii") as file:
        file.write("3")
    for family, address in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
        for turn in "first", "second":
            fast_open(f"fast open, {turn}", family, address, prefixed(query("fast")))
        fast_open("fast open by the option", family, address, prefixed(query("fast-option")), option=True)
        two = prefixed(query("fast-two")) + prefixed(query("fast-two"))
        fast_open("fast open with two messages", family, address, two)
        fast_open("fast open with a part of the length", family, address, prefixed(query("fast-part")), b"\0")
        many = b"".join(prefixed(query("fast-many")) for _ in range(60))
        fast_open("fast open with more than a SYN holds", family, address, many, waits=False)
    # a program that does not wait, and an address that has given no cookie
    fast_open("fast open, not taken", socket.AF_INET, "127.0.0.2", prefixed(query("fast-not")), waits=False)


def in_child(action):
    """Runs `action` in a forked child, which then exits without any clean-up."""
    child = os.fork()
    if child == 0:
        action()
        os._exit(0)
    os.waitpid(child, 0)
    return child


def owners():
    client, message = connected(), query("forked")
    child = in_child(lambda: client.send(message))
    expect("socket used by a forked child", "udp", 4, [message], [client.recv(65535)], child, child)

    client, message = stream(), prefixed(query("forked-tcp"))
    child = in_child(lambda: client.sendall(message))
    reply = read_exactly(client, len(message))
    client.close()
    expect("stream used by a forked child", "tcp", 4, [message], [reply], child, child)

    message = query("exits")
    child = in_child(lambda: connected().send(message))
    # Nobody is there to receive the answer; at packet level it is seen.
    expect("exits at once", "udp", 4, [message], [], child, child)

    def threaded():
        with open("/proc/thread-self/comm", "w", encoding="latin1") as file:
            file.write('th"read\x01')
        client, message = connected(), query("thread")
        client.send(message)
        expect("thread with a name of its own", "udp", 4, [message], [client.recv(65535)])

    thread = threading.Thread(target=threaded)
    thread.start()
    thread.join()


def programs(commands):
    for command in commands:
        child = subprocess.Popen(command.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        child.wait(20)
        print(json.dumps({"client": command, "pid": child.pid}), flush=True)


def main():
    server = os.fork()
    if server == 0:
        serve()
    time.sleep(0.5)
    try:
        udp_ways()
        udp_families()
        udp_sendmmsg()
        udp_special()
        waiting_receives()
        tcp_ways()
        fast_opens()
        owners()
        programs(sys.argv[1:])
        time.sleep(0.3)
    finally:
        os.kill(server, 9)
        os.waitpid(server, 0)


main()
