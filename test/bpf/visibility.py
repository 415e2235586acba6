"""
Traffic of processes in control groups: each group given has one child that joins it and asks a server in this process's own
group, by UDP (connected, unconnected, v4-mapped on an IPv6 socket) and by TCP. Prints one line of JSON a child: group, pid,
its local ports, and how many datagrams and payload bytes it sent.

    visibility.py GROUP...
"""
import json
import os
import socket
import sys
import threading

SERVER = ("127.0.0.1", 53)


def question(name):
    labels = b"".join(bytes([len(part)]) + part for part in name.encode().split(b"."))
    return os.urandom(2) + b"\x01\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"


def answer(request):
    return request[:2] + b"\x81\x80" + request[4:]


def serve_datagrams(sock):
    while True:
        request, client = sock.recvfrom(4096)
        sock.sendto(answer(request), client)


def read_exactly(connection, length):
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def serve_streams(listener):
    while True:
        connection, _ = listener.accept()
        try:
            while True:
                length = int.from_bytes(read_exactly(connection, 2), "big")
                request = read_exactly(connection, length)
                connection.sendall(length.to_bytes(2, "big") + answer(request))
        except (EOFError, OSError):
            connection.close()


def ask(group):
    datagrams = 0
    with open(os.path.join(group, "cgroup.procs"), "w") as procs:
        procs.write(str(os.getpid()))
    message = question(os.path.basename(group) + ".test")

    def exchange(sock, send, address=None):
        nonlocal datagrams
        sock.settimeout(10)
        sock.sendto(message, address) if send == "sendto" else sock.send(message)
        datagrams += 1
        sock.recv(4096)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(SERVER)
        exchange(sock, "send")
        exchange(sock, "send")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        exchange(sock, "sendto", SERVER)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        exchange(sock, "sendto", ("::ffff:127.0.0.1", 53))
    with socket.create_connection(SERVER, 10) as sock:
        sock.sendall(len(message).to_bytes(2, "big") + message)
        read_exactly(sock, int.from_bytes(read_exactly(sock, 2), "big"))
    sent = datagrams * len(message) + 2 + len(message)
    print(json.dumps({"group": group, "pid": os.getpid(), "udp": datagrams, "bytes": sent}))
    sys.stdout.flush()


def main():
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(SERVER)
    streams = socket.create_server(SERVER)
    for group in sys.argv[1:]:
        child = os.fork()
        if child == 0:
            datagrams.close()
            streams.close()
            ask(group)
            os._exit(0)
        if group == sys.argv[1]:
            threading.Thread(target=serve_datagrams, args=(datagrams,), daemon=True).start()
            threading.Thread(target=serve_streams, args=(streams,), daemon=True).start()
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(f"the child in {group} failed: {status}")


main()
