"""Scenes for the tracepoint family: what packets do besides being sent and received. Run in a network namespace of its own.

packets.py SCENE: the client's side is this namespace, the server's one that the scene makes, with a veth pair between.
Prints {pid, requests, responses} (hexadecimal) as one line of JSON, unless the scene says otherwise below.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

CLIENT4, SERVER4, CLIENT6, SERVER6 = "10.99.0.1", "10.99.0.2", "fd99::1", "fd99::2"
CLONE_NEWNET = 0x40000000


def run(command):
    subprocess.run(command.split(), check=True)


def query(number, size=0):
    message = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + b"\5scene\4test\0" + struct.pack("!2H", 1, 1)
    return message + bytes(i * 3 & 0xFF for i in range(size - len(message)))


def answer(question):
    return question[:2] + b"\x85\x80" + question[4:]


def serve(family, address):
    """Answers datagrams and one stream after the other, in a child."""
    child = os.fork()
    if child:
        return child
    udp = socket.socket(family, socket.SOCK_DGRAM)
    tcp = socket.socket(family, socket.SOCK_STREAM)
    for server in udp, tcp:
        server.bind((address, 53))
    tcp.listen()
    if os.fork() == 0:
        signal_when_parent_dies()
        while True:
            stream = tcp.accept()[0]
            while data := stream.recv(65535):
                stream.sendall(answer(data))
            stream.close()
    signal_when_parent_dies()
    while True:
        question, peer = udp.recvfrom(65535)
        udp.sendto(answer(question), peer)


def signal_when_parent_dies():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def other_host(configure):
    """A child in a network namespace of its own; `configure` runs in it once this side says so. Returns (pid, start)."""
    ready, go, done = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        signal_when_parent_dies()
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            os._exit(1)
        os.write(ready[1], b"1")
        os.read(go[0], 1)
        configure()
        os.write(done[1], b"1")
        while True:
            time.sleep(60)
    os.read(ready[0], 1)

    def start():
        os.write(go[1], b"1")
        os.read(done[0], 1)

    return child, start


def server_host():
    def configure():
        run("ip link set lo up")
        run(f"ip addr add {SERVER4}/24 dev veth1")
        run(f"ip addr add {SERVER6}/64 dev veth1 nodad")
        run("ip addr add fd99::3/64 dev veth1 nodad")
        run("ip link set veth1 up")
        for family, address in (socket.AF_INET, SERVER4), (socket.AF_INET6, SERVER6):
            serve(family, address)
        time.sleep(0.2)

    return other_host(configure)


def two_hosts(device="veth0"):
    server, start = server_host()
    run(f"ip link add veth0 type veth peer name veth1 netns {server}")
    if device == "br0":
        run("ip link add br0 type bridge")
        run("ip link set veth0 master br0")
        run("ip link set br0 up")
    run(f"ip addr add {CLIENT4}/24 dev {device}")
    run(f"ip addr add {CLIENT6}/64 dev {device} nodad")
    run("ip link set veth0 up")
    start()
    time.sleep(0.2)
    return server


def ask(client, message):
    client.settimeout(5)
    client.send(message)
    return client.recv(65535)


def datagram_socket(address=SERVER4):
    client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((address, 53))
    return client


def report(requests, responses):
    text = {"requests": [r.hex() for r in requests], "responses": [r.hex() for r in responses]}
    print(json.dumps({"pid": os.getpid(), **text}))


def resolve_neighbours():
    """A packet to another port first, so that the scene's own does not have to wait."""
    for address in SERVER4, SERVER6:
        client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        client.sendto(b"-", (address, 9))
    time.sleep(0.3)


def parked():
    two_hosts()
    client, messages = datagram_socket(), [query(1), query(2)]
    report(messages, [ask(client, message) for message in messages])


def parked_tcp():
    two_hosts()
    message = query(1)
    client = socket.create_connection((SERVER4, 53), 5)
    reply = ask(client, message)
    client.close()
    time.sleep(0.2)
    report([message], [reply])


def parked_late():
    """The sender has exited when the neighbour answers at last. `pid` is the sender's."""

    def answer_arp(server, ignore):
        run_in(server, f"open('/proc/sys/net/ipv4/conf/veth1/arp_ignore', 'w').write('{ignore}')")

    server = two_hosts()
    answer_arp(server, 8)
    child = os.fork()
    if child == 0:
        datagram_socket().send(query(7))
        os._exit(0)
    os.waitpid(child, 0)
    answer_arp(server, 0)
    time.sleep(2.5)
    print(json.dumps({"pid": child, "requests": [query(7).hex()], "responses": [answer(query(7)).hex()]}))


def translated():
    """Docker's resolver: 127.9.9.9:53 is translated to a port of loopback, and back before the answer is received."""
    run("nft add table ip test")
    subprocess.run(["nft", "add chain ip test output { type nat hook output priority -100; }"], check=True)
    for protocol in "udp", "tcp":
        run(f"nft add rule ip test output ip daddr 127.9.9.9 {protocol} dport 53 dnat to 127.0.0.1:1053")
    server, listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.create_server(("127.0.0.1", 1053))
    server.bind(("127.0.0.1", 1053))
    messages = [query(1), query(2), query(3)]
    clients = [datagram_socket("127.9.9.9"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
    for client, message in zip(clients, messages):
        client.sendto(message, ("127.9.9.9", 53))
        question, peer = server.recvfrom(100)
        server.sendto(answer(question), peer)
        client.recv(100)
    client = socket.create_connection(("127.9.9.9", 53), 5)
    stream = listener.accept()[0]
    client.send(messages[2])
    stream.send(answer(stream.recv(100)))
    client.recv(100)
    report(messages, [answer(message) for message in messages])


def bridge():
    two_hosts("br0")
    resolve_neighbours()
    client, messages = datagram_socket(), [query(i) for i in range(20)]
    report(messages, [ask(client, message) for message in messages])


ROUNDS = 20


def by_device(family, device):
    """Control message that chooses the device: ip(7) IP_PKTINFO, ipv6(7) IPV6_PKTINFO."""
    index = socket.if_nametoindex(device)
    if family == socket.AF_INET:
        return socket.IPPROTO_IP, 8, struct.pack("=I4s4x", index, socket.inet_aton(CLIENT4))
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16sI", socket.inet_pton(family, CLIENT6), index)


def two_devices():
    """The same message from one socket to two servers behind two devices, and to an address that is behind either of them."""
    links = ("10.97.0", "fd97:"), ("10.98.0", "fd98:")

    def make(link4, link6, device):
        def configure():
            run("ip link set lo up")
            run(f"ip link set {device}p up")
            for address in f"{link4}.2/24 dev {device}p", f"{SERVER4}/32 dev lo", f"{link6}:2/64 dev {device}p nodad":
                run(f"ip addr add {address}")
            run(f"ip addr add {SERVER6}/128 dev lo nodad")
            run(f"ip route add {CLIENT4} via {link4}.1")
            run(f"ip route add {CLIENT6} via {link6}:1")
            for address in f"{link4}.2", SERVER4:
                serve(socket.AF_INET, address)
            for address in f"{link6}:2", SERVER6:
                serve(socket.AF_INET6, address)
            time.sleep(0.2)

        host, start = other_host(configure)
        run(f"ip link add {device} type veth peer name {device}p netns {host}")
        run(f"ip addr add {link4}.1/24 dev {device}")
        run(f"ip addr add {link6}:1/64 dev {device} nodad")
        run(f"ip link set {device} up")
        start()

    run(f"ip addr add {CLIENT4}/32 dev lo")
    run(f"ip addr add {CLIENT6}/128 dev lo nodad")
    for (link4, link6), device in zip(links, ("one", "two")):
        make(link4, link6, device)
    time.sleep(0.3)
    for (link4, link6), device in zip(links, ("one", "two")):
        run(f"ip route add {SERVER4} via {link4}.2 metric {device == 'two' and 2 or 1}")
        run(f"ip -6 route add {SERVER6} via {link6}:2 metric {device == 'two' and 2 or 1}")
    # no one has these two: the other end drops at once, so that the next packet has the same buffer
    run("ip route add 10.96.0.9 via 10.97.0.2")
    run("ip -6 route add fd96::9 via fd97::2")
    sent = []
    for family, here, there, part in (
        (socket.AF_INET, CLIENT4, SERVER4, 0),
        (socket.AF_INET6, CLIENT6, SERVER6, 1),
    ):
        near = [link[part] + (".2", ":2")[part] for link in links]
        for number in range(ROUNDS):
            client = socket.socket(family, socket.SOCK_DGRAM)
            client.bind((here, 0))
            client.settimeout(5)
            message = query(number)
            dead = ("10.96.0.9", "fd96::9")[part]
            for address, device in (dead, ""), (near[1], ""), (near[0], ""), (there, "one"), (there, "two"):
                client.sendmsg([message], [by_device(family, device)] if device else [], 0, (address, 53))
                sent.append(address)
            for _ in range(4):
                client.recv(100)
            client.close()
    print(json.dumps({"pid": os.getpid(), "sent": sent}))


def two_bridges():
    """A bridge, a cable to another bridge of the same host, and the server behind that one."""
    server, start = server_host()
    run(f"ip link add veth0 type veth peer name veth1 netns {server}")
    run("ip link add cable0 type veth peer name cable1")
    for bridge_name, ports in ("br0", ["cable0"]), ("br1", ["cable1", "veth0"]):
        run(f"ip link add {bridge_name} type bridge")
        run(f"ip link set {bridge_name} up")
        for port in ports:
            run(f"ip link set {port} master {bridge_name}")
            run(f"ip link set {port} up")
    run(f"ip addr add {CLIENT4}/24 dev br0")
    run(f"ip addr add {CLIENT6}/64 dev br0 nodad")
    start()
    time.sleep(0.2)
    resolve_neighbours()
    client, messages = datagram_socket(), [query(i) for i in range(20)]
    report(messages, [ask(client, message) for message in messages])


def options():
    two_hosts()
    resolve_neighbours()
    plain = datagram_socket()
    plain.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\1" * 8)
    extended = datagram_socket(SERVER6)
    extended.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
    messages = [query(1), query(2)]
    report(messages, [ask(plain, messages[0]), ask(extended, messages[1])])


def fragments():
    """A request and an answer in IP fragments, in each family; those of IPv6 begin with destination options."""
    server = two_hosts()
    resolve_neighbours()
    messages = [query(1, 4000), query(2)]
    answers = [ask(datagram_socket(), messages[0])]
    # A server that sends options before the UDP header, and other fragments first.
    run_in(
        server,
        f"""
import os, socket, struct, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, 15, 1)
s.bind(("fd99::3", 53))
if os.fork():
    sys.exit()
s.settimeout(10)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
m, peer = s.recvfrom(100)
other = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
other.bind(("fd99::3", 0))
other.sendto(bytes(3000), peer[:1] + (9,) + peer[2:])
s.sendto(m[:2] + b"\\x85\\x80" + m[4:] + bytes(i % 251 for i in range(3000)), peer)
""",
    )
    client = datagram_socket("fd99::3")
    answers.append(ask(client, messages[1]))
    time.sleep(0.2)
    report(messages, answers)


def unasked():
    server = two_hosts()
    resolve_neighbours()
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((CLIENT4, 5555))
    client.settimeout(5)
    # From port 53, which the server has: so by a raw packet.
    raw = (
        "import socket, struct; s = socket.socket(2, socket.SOCK_RAW, 17); "
        f"s.sendto(struct.pack('!4H', 53, 5555, 48, 0) + b'x' * 40, ('{CLIENT4}', 0))"
    )
    run_in(server, raw)
    assert client.recv(100) == b"x" * 40
    report([], [])


def run_in(pid, program):
    subprocess.run(["nsenter", "-t", str(pid), "-n", "python3", "-c", program], check=True)


def forwarded():
    """client - router - server, three namespaces: the router sees every packet and is the sender of none."""
    server, start_server = server_host()

    def configure_router():
        run("ip link set lo up")
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
            file.write("1")
        run("ip addr add 10.98.0.2/24 dev inner1")
        run("ip link set inner1 up")
        run("ip addr add 10.99.0.1/24 dev outer0")
        run("ip link set outer0 up")

    router, start_router = other_host(configure_router)
    run(f"ip link add inner0 type veth peer name inner1 netns {router}")
    run(f"nsenter -t {router} -n ip link add outer0 type veth peer name veth1 netns {server}")
    start_router()
    start_server()
    run(f"nsenter -t {server} -n ip route add default via 10.99.0.1")
    run("ip addr add 10.98.0.1/24 dev inner0")
    run("ip link set inner0 up")
    run("ip route add default via 10.98.0.2")
    time.sleep(0.3)
    client, messages = datagram_socket(), [query(1), query(2)]
    report(messages, [ask(client, message) for message in messages])


def self_test():
    """Waits until the file named is there, then asks three times on loopback. Prints `sent 3`."""
    while not os.path.exists(sys.argv[2]):
        time.sleep(0.02)
    client = datagram_socket("127.0.0.1")
    for number in range(3):
        try:
            client.send(query(number))
        except ConnectionRefusedError:  # nobody listens there: the error of the datagram before
            client.send(query(number))
    print("sent 3")


def flood():
    """20 000 datagrams to a socket that nobody reads. Prints {pid, sent}."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 53))
    client, message = datagram_socket("127.0.0.1"), query(1)
    for _ in range(20000):
        client.send(message)
    print(json.dumps({"pid": os.getpid(), "sent": 20000}))


def exec_test():
    """Sends, then replaces itself and sends again. Prints `pid N`."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 53))
    datagram_socket("127.0.0.1").send(query(1))
    if sys.argv[-1] == "exec":
        sink.close()
        os.execvp("python3", ["python3", sys.argv[0], "exec", "executed"])
    print(f"pid {os.getpid()}")


def changing():
    """One thread sends twice each: as it is, under another name, as another user, and in another thread. Prints `pid N`."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 53))
    client = datagram_socket("127.0.0.1")

    def send_two():
        for number in range(2):
            client.send(query(number))

    def rename(name):
        with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as comm:
            comm.write(name)

    send_two()
    rename("renamed")
    send_two()
    os.setresuid(-1, 65534, -1)
    send_two()
    os.setresuid(-1, 0, -1)
    other = threading.Thread(target=send_two)
    other.start()
    other.join()
    print(f"pid {os.getpid()}")


SCENES = {
    "parked": parked,
    "parked-tcp": parked_tcp,
    "parked-late": parked_late,
    "translated": translated,
    "bridge": bridge,
    "two-devices": two_devices,
    "two-bridges": two_bridges,
    "options": options,
    "fragments": fragments,
    "unasked": unasked,
    "forwarded": forwarded,
    "self": self_test,
    "flood": flood,
    "exec": exec_test,
    "changing": changing,
}

SCENES[sys.argv[1]]()
