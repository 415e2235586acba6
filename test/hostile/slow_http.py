"""COUNT connections to 127.0.0.1:PORT that never finish their request, each begun again when it is closed, for SECONDS.

slow_http.py PORT COUNT SECONDS KIND    KIND: header (a byte now and then), silent, pipeline (1000 requests, no answer read), huge
"""
import asyncio, json, resource, sys, time

resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
port, count, seconds, kind = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
end = time.time() + seconds
opened = 0
FIRST = {
    "header": b"GET /livez HTTP/1.1\r\nX: ",
    "silent": b"",
    "pipeline": b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000,
    "huge": b"GET /livez HTTP/1.1\r\nX: " + b"a" * 100000,
}[kind]


async def one():
    global opened
    while time.time() < end:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            opened += 1
            writer.write(FIRST)
            while time.time() < end:
                await asyncio.sleep(0.3)
                if writer.transport.is_closing():
                    raise ConnectionError
                if kind == "header":
                    writer.write(b"a")
        except OSError:
            await asyncio.sleep(0.01)


async def main():
    await asyncio.gather(*[one() for _ in range(count)])


asyncio.run(main())
print(json.dumps({"opened": opened}))
