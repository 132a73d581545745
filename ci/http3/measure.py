"""Run as `measure.py HTTP3 [--write]`, with the path of the example `http3`: sockets over HTTP/3 next to sockets over HTTP/2.

On a link that loses 2 % of its packets, 50 sockets of one connection echo 64 bytes each. And the memory that the server takes for a
thousand idle sockets on ten connections. `--write` writes docs/results/http3.md.
"""

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))
import http2  # noqa: E402
import http3  # noqa: E402
import lossy  # noqa: E402
from wsproto.events import TextMessage  # noqa: E402

AUTHORITY = "localhost:3443"
ADDRESS = f"{lossy.FAR}:3443"
LOSS, DELAY = 0.02, 0.01
SOCKETS, SECONDS, PAUSE = 50, 30, 0.1
VERSIONS = [("HTTP/2", http2.client), ("HTTP/3", http3.client)]


async def echoes(client):
    """The times that echoes take, in seconds."""
    took = []

    async def talk(socket, number):
        await asyncio.sleep(PAUSE * number / SOCKETS)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            start = time.monotonic()
            await socket.echo("x" * 64)
            took.append(time.monotonic() - start)
            await asyncio.sleep(max(0, PAUSE - took[-1]))

    async with client(ADDRESS) as connection:
        sockets = [await connection.open(AUTHORITY, "/ws") for _ in range(SOCKETS)]
        await asyncio.gather(*(talk(socket, number) for number, socket in enumerate(sockets)))
    return sorted(took)


def resident(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


async def memory(client, server):
    """What a socket takes that is idle behind one echo, in KiB; and its connection's share of it."""
    async def hundred(stack):
        connection = await stack.enter_async_context(client(ADDRESS))
        sockets = [await connection.open(AUTHORITY, "/ws") for _ in range(100)]
        await asyncio.gather(*(socket.echo("hello") for socket in sockets))
        return sockets

    async with AsyncExitStack() as stack:
        await hundred(stack)
        before = resident(server)
        kept = [await hundred(stack) for _ in range(10)]
        await asyncio.sleep(2)
        return (resident(server) - before) / sum(map(len, kept))


def served(program, loss, delay):
    server = lossy.link([program, "--addr", ADDRESS], loss, delay)
    assert server.stdout.readline().startswith("listening")
    return server


def apart(measure):
    """In a process of its own, which stays in its namespaces, and ends all that it has started."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        os.write(write, json.dumps(measure()).encode())
        os.killpg(0, signal.SIGKILL)
    os.close(write)
    with os.fdopen(read) as output:
        result = output.read()
    os.waitpid(child, 0)
    return json.loads(result)


def main():
    program = sys.argv[1]
    rows = []
    for name, client in VERSIONS:
        def lossy_echoes():
            served(program, LOSS, DELAY)
            took = asyncio.run(echoes(client))
            return [len(took), *(took[len(took) * percent // 100] * 1000 for percent in (50, 99)), took[-1] * 1000]

        def idle():
            server = served(program, 0, 0)
            return asyncio.run(memory(client, server))

        rows.append((name, *apart(lossy_echoes), apart(idle)))
        print(rows[-1])
    if "--write" in sys.argv:
        Path(__file__).parents[2].joinpath("docs/results/http3.md").write_text(report(rows))


def report(rows):
    table = "".join(
        f"| {name} | {count} | {p50:.0f} ms | {p99:.0f} ms | {most:.0f} ms | {kib:.1f} KiB |\n" for name, count, p50, p99, most, kib in rows
    )
    return f"""# Over HTTP/3

`ci/http3.sh --write` writes this file. The example `http3` serves HTTP/2 and HTTP/3 with the same router, over TLS. A Python client, h2 for
HTTP/2 and aioquic for HTTP/3, opens {SOCKETS} sockets on one connection. For {SECONDS} s, each sends 64 bytes ten times a second and waits for the
echo. The link is two network namespaces, joined by a process that drops {LOSS:.0%} of the packets in each direction and delays the
others by {DELAY * 1000:.0f} ms, so a round trip takes {DELAY * 2000:.0f} ms at least.

| | echoes, of {SOCKETS * SECONDS * round(1 / PAUSE)} | round trip, p50 | p99 | longest | memory of an idle socket |
|---|---|---|---|---|---|
{table}
A lost packet delays all sockets of an HTTP/2 connection until it is sent again. Over HTTP/3 it delays only the sockets whose bytes it
carried.

The memory is the growth of the server's process, divided by a thousand sockets on ten connections, without loss. Each socket is idle after
one small message. Over HTTP/3 each socket is buffered twice: by QUIC, and by the HTTP/2 in memory behind it.
"""


if __name__ == "__main__":
    main()
