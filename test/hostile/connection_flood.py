#!/usr/bin/env python3
"""
What waits for its source port (bpf/connect.h), by the thousand: connections to a neighbour that does not answer, whose SYN never
reaches a device while it is asked for.

    connection_flood.py setup                    the devices, once in a network namespace
    connection_flood.py flood ADDRESS COUNT      opens so many, says how many there are, holds them until standard input ends
    connection_flood.py victim ADDRESS COUNT MS  connects so often, every MS; says {pid, ports}
    connection_flood.py listen ADDRESS           accepts and closes
"""
import errno
import json
import os
import resource
import socket
import subprocess
import sys
import time

HERE, SILENT, PORT = "198.51.100.1", "198.51.100.2", 4321


def setup():
    for command in ("ip link set lo up", "ip link add silent0 type veth peer name silent1", "ip link set silent0 up",
                    "ip link set silent1 up", f"ip address add {HERE}/24 dev silent0",
                    # It is asked for once a second, not given up after three.
                    "sysctl -qw net.ipv4.neigh.silent0.mcast_solicit=1000",
                    "sysctl -qw net.ipv4.ip_local_port_range=1024\\ 65535"):
        subprocess.run(["sh", "-c", command], check=True)


def flood(address, count):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    for i in range(count):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.setblocking(False)
        if client.connect_ex((address, 1 + i % 60000)) != errno.EINPROGRESS:
            sys.exit(f"connection {i}")
        held.append(client)
    print(len(held), flush=True)
    sys.stdin.read()


def victim(address, count, milliseconds):
    ports = []
    for _ in range(count):
        with socket.create_connection((address, PORT), timeout=5) as client:
            ports.append(client.getsockname()[1])
        time.sleep(milliseconds / 1000)
    print(json.dumps({"pid": os.getpid(), "ports": ports}))


def listen(address):
    with socket.create_server((address, PORT), backlog=64) as server:
        print("ready", flush=True)
        while True:
            server.accept()[0].close()


what, *words = sys.argv[1:]
{"setup": setup, "flood": lambda address, count: flood(address, int(count)),
 "victim": lambda address, count, ms: victim(address, int(count), int(ms)), "listen": listen}[what](*words)
