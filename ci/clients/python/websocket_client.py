"""websocket-client: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing."""

import struct
import sys

import websocket

MESSAGE = bytes(i % 251 for i in range(1 << 20))


def main(url, origin):
    try:
        socket = websocket.create_connection(url, origin=origin or None, timeout=20)
    except websocket.WebSocketException as error:
        print("refused", error)
        return
    print("opened")
    socket.send_binary(MESSAGE)
    assert socket.recv() == MESSAGE
    print("echoed")
    socket.send_close(1000)
    opcode, data = socket.recv_data(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    print("closed", struct.unpack("!H", data[:2])[0])


main(*sys.argv[1:])
