"""DNS over TCP in three roles, bounded in count and time. Prints one line of JSON at its end.

serve ADDRESS SECONDS            answers every query with 10.1.2.3, in two pieces that are half a second apart
half ADDRESS COUNT SECONDS       COUNT connections that each say a long message comes and send a little of it now and then;
                                 `ready N` when all were tried and N are there
ask ADDRESS COUNT GAP ZONE       COUNT lookups, GAP seconds apart, each query in two pieces, names tN.ZONE
"""
import asyncio, json, random, resource, struct, sys, time

resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
PORT = 53


def answer(query):
    return query[:2] + b"\x81\x80" + query[4:6] + b"\0\1\0\0\0\0" + query[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2\3"


async def serve(address, seconds):
    served = 0

    async def connection(reader, writer):
        nonlocal served
        try:
            while True:
                length = struct.unpack(">H", await reader.readexactly(2))[0]
                reply = answer(await reader.readexactly(length))
                message = struct.pack(">H", len(reply)) + reply
                writer.write(message[:7])
                await writer.drain()
                await asyncio.sleep(0.5)
                writer.write(message[7:])
                await writer.drain()
                served += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    await asyncio.start_server(connection, address, PORT, backlog=4096)
    print("ready", flush=True)
    await asyncio.sleep(float(seconds))
    return {"served": served}


async def half(address, count, seconds):
    end = time.time() + float(seconds)
    tried = there = 0

    async def one():
        nonlocal tried, there
        try:
            try:
                _, writer = await asyncio.open_connection(address, PORT)
                writer.write(struct.pack(">H", 65000) + b"\0" * 20)
                there += 1
            finally:
                tried += 1
                if tried == int(count):
                    print(f"ready {there}", flush=True)
            while time.time() < end:
                await asyncio.sleep(1)
                writer.write(b"x" * 200)
            return 1
        except OSError:
            return 0

    return {"connections": sum(await asyncio.gather(*[one() for _ in range(int(count))]))}


async def ask(address, count, gap, zone):
    async def one(number):
        labels = f"t{number}.{zone}".split(".")
        question = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0\0\1\0\1"
        query = struct.pack(">HHHHHH", random.randrange(65536), 0x100, 1, 0, 0, 0) + question
        message = struct.pack(">H", len(query)) + query
        reader, writer = await asyncio.open_connection(address, PORT)
        writer.write(message[:9])
        await writer.drain()
        await asyncio.sleep(0.5)
        writer.write(message[9:])
        try:
            await asyncio.wait_for(reader.readexactly(len(query) + 18), 30)
            writer.close()
            return 1
        except (asyncio.IncompleteReadError, asyncio.TimeoutError, ConnectionError):
            return 0

    asked = []
    for number in range(int(count)):
        asked.append(asyncio.create_task(one(number)))
        await asyncio.sleep(float(gap))
    return {"answered": sum(await asyncio.gather(*asked))}


ROLES = {"serve": serve, "half": half, "ask": ask}
print(json.dumps(asyncio.run(ROLES[sys.argv[1]](*sys.argv[2:]))), flush=True)
