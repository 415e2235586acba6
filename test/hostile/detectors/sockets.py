"""An unprivileged user makes the socket table of a network namespace long, and asks servers that nobody configured from many
short-lived processes. Arguments: sockets, processes, zone. Loopback of its own namespace only; gone after 30 s at the latest."""

import os
import random
import resource
import signal
import socket
import struct
import sys
import time

TOGETHER = 3900
UID = 1000

sockets, processes, zone = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
signal.alarm(30)
os.setgid(UID)
os.setuid(UID)
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
holders = []


def hold(count):
    """@return sockets, each bound to a port of its own, on as many addresses as that takes"""
    held = []
    for _ in range(count):
        each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        each.bind((f"127.0.0.{random.randrange(3, 200)}", 0))
        held.append(each)
    return held


def question(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", random.randrange(65536), 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


while sockets > 0:
    count = min(sockets, TOGETHER)
    sockets -= count
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        kept = hold(count)
        os.write(writer, b"x")
        time.sleep(30)
        os._exit(0)
    os.read(reader, 1)
    holders.append(pid)
for number in range(processes):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.sendto(question(f"s{number}.{zone}"), ("127.0.0.2", 53))
        time.sleep(8)
        os._exit(0)
    holders.append(pid)
    time.sleep(0.02)
print("asked", flush=True)
time.sleep(8)
for pid in holders:
    os.kill(pid, signal.SIGKILL)
