"""libcurl, by curl_cffi: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing."""

import struct
import sys

from curl_cffi import CurlError, CurlWsFlag, WebSocket

MESSAGE = bytes(i % 251 for i in range(1 << 20))


def main(url, origin):
    socket = WebSocket(autoclose=False)
    try:
        socket.connect(url, headers={"Origin": origin} if origin else {})
    except CurlError as error:
        print("refused", error)
        return
    print("opened")
    socket.send_binary(MESSAGE)
    assert socket.recv() == (MESSAGE, CurlWsFlag.BINARY)
    print("echoed")
    # Its `close` does not wait for an answer.
    socket.send(struct.pack("!H", 1000), CurlWsFlag.CLOSE)
    _, flags = socket.recv()
    assert flags & CurlWsFlag.CLOSE
    print("closed", socket.close_code)


main(*sys.argv[1:])
