"""picows: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing."""

import asyncio
import sys

from picows import WSCloseCode, WSHandshakeError, WSListener, WSMsgType, ws_connect

MESSAGE = bytes(i % 251 for i in range(1 << 20))


class Listener(WSListener):
    def on_ws_connected(self, transport):
        print("opened")
        transport.send(WSMsgType.BINARY, MESSAGE)

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            print("closed", frame.get_close_code().value)
            transport.disconnect()
            return
        # It gives frames: the server sends the message in one.
        assert frame.msg_type == WSMsgType.BINARY and frame.fin and frame.get_payload_as_bytes() == MESSAGE
        print("echoed")
        transport.send_close(WSCloseCode.OK)


async def main(url, origin):
    try:
        transport, _ = await ws_connect(Listener, url, extra_headers={"Origin": origin} if origin else None)
    except WSHandshakeError as error:
        print("refused", error)
        return
    await transport.wait_disconnected()


asyncio.run(main(*sys.argv[1:]))
