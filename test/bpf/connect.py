#!/usr/bin/env python3
"""
TCP connections of many kinds in the network namespace it runs in (loopback is up), for the tests of bpf/connect.h. Writes
one line of JSON for each connection begun: {name, pid, tid, family, remote, port, seen, local}; `seen` false: to be left out; `local`
the source port, where the program knows it.
"""
import errno
import json
import os
import socket
import subprocess
import threading

V4, V6, MAPPED = "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"
SILENT = "198.51.100.2"
OPEN, CLOSED = 4321, 4322
IPPROTO_MPTCP, IPPROTO_SCTP = 262, 132
SOCK_DCCP, IPPROTO_DCCP = 6, 33
MSG_FASTOPEN, TCP_FASTOPEN_CONNECT = 0x20000000, 30


def claim(name, family, remote, port=OPEN, seen=True, client=None):
    line = {"name": name, "pid": os.getpid(), "tid": threading.get_native_id(), "family": family,
            "remote": remote, "port": port, "seen": seen}
    if client:
        line["local"] = client.getsockname()[1]
    print(json.dumps(line), flush=True)


def connect(name, family, address, port=OPEN, seen=True, bound=None, shown=None):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as client:
        if bound:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind(("", bound))
        try:
            client.connect((address, port))
        except OSError:
            claim(name, family, shown or address, port, seen)
        else:
            claim(name, family, shown or address, port, seen, client)


def nonblocking():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        assert client.connect_ex((V4, OPEN)) == errno.EINPROGRESS
        claim("nonblocking", 4, V4, client=client)


def silent_neighbour():
    """No one has the address: the SYN waits for it, and is gone with the socket that is closed."""
    for command in ("ip link add silent0 type veth peer name silent1", "ip link set silent0 up", "ip link set silent1 up",
                    f"ip address add {SILENT[:-1]}1/24 dev silent0"):
        if subprocess.run(command.split(), stderr=subprocess.DEVNULL).returncode:
            return  # not in this kernel
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        assert client.connect_ex((SILENT, OPEN)) == errno.EINPROGRESS
        claim("silent neighbour", 4, SILENT, client=client)


def fast_open():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        claim("fast open by sendmsg", 4, V4)
        client.sendto(b"x", MSG_FASTOPEN, (V4, OPEN))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
        claim("fast open by connect", 4, V4)
        client.connect((V4, OPEN))
        client.send(b"x")


def again():
    """One socket, connected anew after AF_UNSPEC dissolved its first connection (connect(2))."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        claim("first", 4, V4)
        client.connect((V4, OPEN))
        libc = __import__("ctypes").CDLL(None)
        assert libc.connect(client.fileno(), bytes(16), 16) == 0
        claim("second", 4, V4)
        client.connect((V4, OPEN))


def forked():
    """The parent opens the socket, the child connects it and is gone."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        child = os.fork()
        if child == 0:
            claim("forked", 4, V4)
            client.setblocking(False)
            client.connect_ex((V4, OPEN))
            os._exit(0)
        os.waitpid(child, 0)


def other_protocols():
    """Not TCP: none is to be seen, but that an MPTCP connection is one TCP connection as well."""
    kinds = (("mptcp", socket.SOCK_STREAM, IPPROTO_MPTCP, True), ("sctp", socket.SOCK_STREAM, IPPROTO_SCTP, False),
             ("dccp", SOCK_DCCP, IPPROTO_DCCP, False))
    for name, kind, protocol, seen in kinds:
        try:
            client = socket.socket(socket.AF_INET, kind, protocol)
        except OSError:
            continue  # not in this kernel
        with client:
            claim(name, 4, V4, seen=seen)
            client.settimeout(2)
            try:
                client.connect((V4, OPEN))
            except OSError:
                pass


def main():
    for command in (f"ip address add {V4}/32 dev lo", f"ip -6 address add {V6}/128 dev lo"):
        subprocess.run(command.split(), check=True)
    server = socket.create_server(("", OPEN), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    threading.Thread(target=accept, args=(server,), daemon=True).start()
    connect("ipv4", 4, V4)
    connect("ipv6", 6, V6)
    connect("mapped", 4, MAPPED, shown=V4)
    connect("refused", 4, V4, CLOSED)
    connect("bound", 4, V4, bound=4545)
    connect("no route", 6, "2001:db8:ffff::1", seen=False)
    for name, address in (("loopback", "127.0.0.1"), ("loopback", "127.9.9.9"), ("loopback 6", "::1"),
                          ("loopback mapped", "::ffff:127.0.0.1"), ("unspecified", "0.0.0.0")):
        connect(name, 0, address, seen=False)
    nonblocking()
    silent_neighbour()
    fast_open()
    again()
    forked()
    thread = threading.Thread(target=connect, args=("thread", 6, V6))
    thread.start()
    thread.join()
    other_protocols()


def accept(server):
    while True:
        server.accept()[0].close()


main()
