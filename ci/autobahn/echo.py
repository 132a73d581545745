"""An echo by Python's `websockets`, with permessage-deflate, for the gateway to stand before."""

import asyncio

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def echo(socket):
    try:
        async for message in socket:
            await socket.send(message)
    except ConnectionClosed:
        pass


async def main():
    # The largest messages of the cases have 16 MiB, and their client answers no pings.
    async with serve(echo, "127.0.0.1", 0, max_size=64 << 20, ping_interval=None) as server:
        host, port = server.sockets[0].getsockname()
        print(f"listening on ws://{host}:{port}", flush=True)
        await server.serve_forever()


asyncio.run(main())
