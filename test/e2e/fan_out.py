"""fan_out.py: name servers for a resolver that asks several. Prints `ready`; answers until killed.

127.0.0.2 refuses; 127.0.0.5 gives an address after a while; 127.0.0.3 says another one, later; 127.0.0.4 takes all and says nothing.
"""

import select
import socket
import struct
import time

TRUTH, TRUTH_AFTER = bytes([192, 0, 2, 1]), 0.3
LIE, LIE_AFTER = bytes([203, 0, 113, 66]), 1
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


refusing, lying, silent, truthful = (bound(f"127.0.0.{last}") for last in (2, 3, 4, 5))
later = {lying: (LIE, LIE_AFTER), truthful: (TRUTH, TRUTH_AFTER)}
print("ready", flush=True)
waiting = []
while True:
    readable, _, _ = select.select([refusing, *later], [], [], 0.05)
    for server in readable:
        query, client = server.recvfrom(65536)
        if server is refusing:
            server.sendto(reply(query, 5), client)
        else:
            kind = struct.unpack("!H", query[question_end(query) - 4 : question_end(query) - 2])[0]
            data, after = later[server]
            waiting.append((time.monotonic() + after, server, reply(query, 0, data if kind == A else None), client))
    for each in [each for each in waiting if each[0] <= time.monotonic()]:
        waiting.remove(each)
        _, server, message, client = each
        server.sendto(message, client)
