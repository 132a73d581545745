"""websockets: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing."""

import sys

from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

MESSAGE = bytes(i % 251 for i in range(1 << 20))


def main(url, origin):
    try:
        connection = connect(url, origin=origin or None, max_size=None)
        with connection as socket:
            print("opened")
            socket.send(MESSAGE)
            assert socket.recv() == MESSAGE
            print("echoed")
            socket.close(1000)
            print("closed", socket.close_code)
    except InvalidHandshake as error:
        print("refused", error)


main(*sys.argv[1:])
