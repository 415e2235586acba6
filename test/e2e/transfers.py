"""transfers.py ADDRESS: a name server that does zone transfers badly. Answers on TCP port 53 until killed; prints `ready`.

First label of the zone: cut: ends in the middle of a message; endless: never comes to its second SOA; foreign: a message of no
question in between; failure: SERVFAIL in the middle; garbage: ends as it should, then bytes that are no DNS.
"""

import socket
import struct
import sys
import threading

SOA, A = 6, 1
FOREIGN_ID = 0x6666


def framed(message):
    return struct.pack("!H", len(message)) + message


def record(kind, data):
    return b"\xc0\x0c" + struct.pack("!2HIH", kind, 1, 60, len(data)) + data


SOA_RECORD = record(SOA, b"\xc0\x0c\xc0\x0c" + struct.pack("!5I", 7, 60, 60, 60, 60))


def message(query, records, rcode=0, number=None):
    number = query[:2] if number is None else struct.pack("!H", number)
    return framed(number + struct.pack("!5H", 0x8400 | rcode, 1, len(records), 0, 0) + query[12:] + b"".join(records))


def transfer(stream):
    query = stream.recv(65536)[2:]
    # Without what follows the question (EDNS)
    end = 12
    while query[end]:
        end += query[end] + 1
    query = query[: end + 5]
    kind = query[13 : 13 + query[12]].decode()
    addresses = [record(A, bytes([192, 0, 2, i])) for i in range(1, 200)]
    stream.sendall(message(query, [SOA_RECORD] + addresses))
    stream.sendall(message(query, addresses))
    if kind == "cut":
        stream.sendall(message(query, addresses)[:500])
    elif kind == "endless":
        for _ in range(300):
            stream.sendall(message(query, addresses))
    elif kind == "foreign":
        stream.sendall(message(query, addresses, number=struct.unpack("!H", query[:2])[0] ^ FOREIGN_ID))
        stream.sendall(message(query, addresses + [SOA_RECORD]))
    elif kind == "failure":
        stream.sendall(message(query, [], rcode=2))
    elif kind == "garbage":
        stream.sendall(message(query, addresses + [SOA_RECORD]) + b"\xff\x00GET / HTTP/1.1\r\n\r\n" + bytes(700))
    stream.close()


server = socket.create_server((sys.argv[1], 53))
print("ready", flush=True)
while True:
    threading.Thread(target=transfer, args=(server.accept()[0],), daemon=True).start()
