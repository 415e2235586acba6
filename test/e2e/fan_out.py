"""fan_out.py: name servers for a resolver that asks several. Prints `ready`; answers until killed.

127.0.0.2 refuses; 127.0.0.3 says another address, half a second late; 127.0.0.4 takes all and says nothing.
"""

import select
import socket
import struct
import time

LATE = 0.5
LIE = bytes([203, 0, 113, 66])
A = 1


def question_end(query):
    at = 12
    while query[at]:
        at += query[at] + 1
    return at + 5


def reply(query, rcode, data=None):
    end = question_end(query)
    head = query[:2] + struct.pack("!5H", 0x8180 | rcode, 1, 0 if data is None else 1, 0, 0)
    answer = b"" if data is None else b"\xc0\x0c" + struct.pack("!2HIH", A, 1, 60, 4) + data
    return head + query[12:end] + answer


def bound(address):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    return server


refusing, lying, silent = (bound(f"127.0.0.{last}") for last in (2, 3, 4))
print("ready", flush=True)
waiting = []
while True:
    readable, _, _ = select.select([refusing, lying], [], [], 0.05)
    for server in readable:
        query, client = server.recvfrom(65536)
        if server is refusing:
            server.sendto(reply(query, 5), client)
        else:
            kind = struct.unpack("!H", query[question_end(query) - 4 : question_end(query) - 2])[0]
            waiting.append((time.monotonic() + LATE, reply(query, 0, LIE if kind == A else None), client))
    while waiting and waiting[0][0] <= time.monotonic():
        _, message, client = waiting.pop(0)
        lying.sendto(message, client)
