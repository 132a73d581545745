"""libsoup, by GObject introspection: opens, echoes 1 MiB and closes, and says so. Arguments: the URL, and an Origin or nothing."""

import sys

import gi

gi.require_version("Soup", "3.0")
from gi.repository import GLib, Soup  # noqa: E402

MESSAGE = bytes(i % 251 for i in range(1 << 20))


def main(url, origin):
    loop = GLib.MainLoop()
    sockets = []
    session = Soup.Session()

    def received(socket, kind, message):
        assert message.get_data() == MESSAGE
        print("echoed")
        socket.close(1000, None)

    def closed(socket):
        print("closed", socket.get_close_code())
        loop.quit()

    def connected(session, result):
        try:
            socket = session.websocket_connect_finish(result)
        except GLib.Error as error:
            print("refused", error.message)
            loop.quit()
            return
        print("opened")
        sockets.append(socket)  # It is closed when nobody holds it.
        socket.set_max_incoming_payload_size(2 << 20)
        socket.connect("message", received)
        socket.connect("closed", closed)
        socket.send_message(Soup.WebsocketDataType.BINARY, GLib.Bytes.new(MESSAGE))

    message = Soup.Message.new("GET", url)
    session.websocket_connect_async(message, origin or None, None, GLib.PRIORITY_DEFAULT, None, connected)
    loop.run()


main(*sys.argv[1:])
