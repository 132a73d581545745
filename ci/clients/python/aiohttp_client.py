"""aiohttp: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing."""

import asyncio
import sys

import aiohttp

MESSAGE = bytes(i % 251 for i in range(1 << 20))


async def main(url, origin):
    async with aiohttp.ClientSession() as session:
        try:
            socket = await session.ws_connect(url, origin=origin or None)
        except aiohttp.WSServerHandshakeError as error:
            print("refused", error)
            return
        print("opened")
        await socket.send_bytes(MESSAGE)
        assert await socket.receive_bytes() == MESSAGE
        print("echoed")
        await socket.close(code=1000)
        print("closed", socket.close_code)


asyncio.run(main(*sys.argv[1:]))
