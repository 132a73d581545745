"""tornado: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing."""

import asyncio
import sys

from tornado.httpclient import HTTPError, HTTPRequest
from tornado.websocket import websocket_connect

MESSAGE = bytes(i % 251 for i in range(1 << 20))


async def main(url, origin):
    request = HTTPRequest(url, headers={"Origin": origin} if origin else {})
    try:
        socket = await websocket_connect(request)
    except HTTPError as error:
        print("refused", error)
        return
    print("opened")
    await socket.write_message(MESSAGE, binary=True)
    assert await socket.read_message() == MESSAGE
    print("echoed")
    socket.close(1000)
    assert await socket.read_message() is None
    print("closed", socket.close_code)


asyncio.run(main(*sys.argv[1:]))
