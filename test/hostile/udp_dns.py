"""DNS over UDP in two roles, bounded in count and time. Prints one line of JSON at its end.

serve ADDRESS DELAY SECONDS      answers every query with 10.1.2.3 after DELAY seconds; a name that begins with `two` with 6.6.6.6 first
ask ADDRESS COUNT GAP WAIT ZONE  COUNT lookups, GAP seconds apart, names uN.ZONE; WAIT seconds for the last answers
"""
import heapq, json, random, select, socket, struct, sys, time

PORT = 53


def answer(query, address=b"\x0a\1\2\3"):
    return query[:2] + b"\x81\x80" + query[4:6] + b"\0\1\0\0\0\0" + query[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + address


def serve(address, delay, seconds):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, PORT))
    server.settimeout(0.02)
    print("ready", flush=True)
    queue, count, end = [], 0, time.time() + float(seconds)
    while time.time() < end:
        try:
            query, client = server.recvfrom(4096)
            due = time.time() + float(delay)
            if query[13:16] == b"two":
                heapq.heappush(queue, (due, count, answer(query, b"\6\6\6\6"), client))
                count += 1
            heapq.heappush(queue, (due, count, answer(query), client))
            count += 1
        except socket.timeout:
            pass
        while queue and queue[0][0] <= time.time():
            _, _, reply, client = heapq.heappop(queue)
            server.sendto(reply, client)
    return {"served": count}


def read_until(end, sockets, stays):
    """Reads what comes until `end`; not `stays`: or until all have their answer."""
    answered = 0
    while (sockets or stays) and time.time() < end:
        for client in select.select(sockets, [], [], max(0, min(0.2, end - time.time())))[0]:
            client.recv(4096)
            answered += 1
            sockets.remove(client)
    return answered


def ask(address, count, gap, wait, zone):
    sockets, answered = [], 0
    for number in range(int(count)):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.connect((address, PORT))
        labels = f"u{number}.{zone}".split(".")
        question = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0\0\1\0\1"
        client.send(struct.pack(">HHHHHH", random.randrange(65536), 0x100, 1, 0, 0, 0) + question)
        sockets.append(client)
        answered += read_until(time.time() + float(gap), sockets, True)
    answered += read_until(time.time() + float(wait), sockets, False)
    return {"answered": answered}


ROLES = {"serve": serve, "ask": ask}
print(json.dumps(ROLES[sys.argv[1]](*sys.argv[2:])), flush=True)
