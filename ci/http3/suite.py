"""WebSockets over HTTP/3, by a server whose address is in $HTTP3 and whose host name is `localhost`.

With $IN_PROCESS it is the example `http3`, of which more is asked than of a proxy. It is the path of the program.
"""

import asyncio
import os
import signal
import subprocess
import sys
import unittest

from aioquic.buffer import encode_uint_var
from wsproto.events import TextMessage

sys.path.insert(0, os.path.dirname(__file__))
import http3  # noqa: E402

ADDRESS = os.environ["HTTP3"]
AUTHORITY = f"localhost:{ADDRESS.rsplit(':', 1)[1]}"
PROGRAM = os.environ.get("IN_PROCESS")
in_process = unittest.skipUnless(PROGRAM, "of the example alone")


class Sockets(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        # unittest turns this on, and a thousand sockets take a minute with it.
        asyncio.get_running_loop().set_debug(False)

    async def test_page_and_socket_on_one_connection(self):
        async with http3.client(ADDRESS) as client:
            page = client.get(AUTHORITY, "/")
            status, _ = await page.head()
            self.assertEqual(status, 200)
            self.assertIn(b"<html", await page.body())
            socket = await client.open(AUTHORITY, "/ws", subprotocols=["v2.chat", "v1.chat"])
            self.assertEqual(socket.headers["sec-websocket-protocol"], "v2.chat")
            await socket.echo("hello")
            await socket.echo("x" * (1 << 20))
            await socket.close()

    async def test_foreign_page_is_refused(self):
        async with http3.client(ADDRESS) as client:
            for origin in ["https://evil.example", "null", "https://localhost.evil.example"]:
                refused = client.ask(AUTHORITY, "/ws", origin)
                self.assertEqual((await refused.head())[0], 403, origin)
                self.assertEqual(await refused.body(), b"pages of this origin may not connect")
            # The connection is as good as before.
            await (await client.open(AUTHORITY, "/ws")).echo("hello")

    async def test_a_hundred_sockets_on_one_connection(self):
        async with http3.client(ADDRESS) as client:
            sockets = [await client.open(AUTHORITY, "/ws") for _ in range(100)]
            await asyncio.gather(*(socket.echo(str(number)) for number, socket in enumerate(sockets)))
            await asyncio.gather(*(socket.close() for socket in sockets))

    @in_process
    async def test_the_scheme_is_known(self):
        async with http3.client(ADDRESS) as client:
            refused = client.ask(AUTHORITY, "/ws", f"http://{AUTHORITY}")
            self.assertEqual((await refused.head())[0], 403)

    @in_process
    async def test_another_protocol_is_not_implemented(self):
        async with http3.client(ADDRESS) as client:
            self.assertEqual((await client.ask(AUTHORITY, "/ws", f"https://{AUTHORITY}", protocol="webtransport").head())[0], 501)

    @in_process
    async def test_a_websocket_that_is_no_connect_is_malformed(self):
        async with http3.client(ADDRESS) as client:
            stream = client.request(http3.pseudo("GET", AUTHORITY, "/ws") + [(":protocol", "websocket")], end=True)
            with self.assertRaises(http3.Reset) as reset:
                await stream.head()
            self.assertEqual(str(reset.exception), "0x10e")
            await (await client.open(AUTHORITY, "/ws")).echo("hello")

    @in_process
    async def test_frames_that_would_be_kept_in_memory_are_bounded(self):
        async with http3.client(ADDRESS) as client:
            other = await client.open(AUTHORITY, "/ws")
            with self.subTest("headers"):
                stream = client.raw(encode_uint_var(1) + encode_uint_var(1 << 30))
                with self.assertRaises(http3.Reset) as reset:
                    await stream.head()
                self.assertEqual(str(reset.exception), "0x107")  # H3_EXCESSIVE_LOAD
            with self.subTest("trailers"):
                socket = await client.open(AUTHORITY, "/ws")
                client._quic.send_stream_data(socket.stream.number, encode_uint_var(1) + encode_uint_var(1 << 30))
                client.transmit()
                with self.assertRaises(http3.Reset) as reset:
                    await socket.message()
                self.assertEqual(str(reset.exception), "0x10c")  # H3_REQUEST_CANCELLED
            with self.subTest("a frame of an unknown type is skipped"):
                socket = await client.open(AUTHORITY, "/ws")
                client._quic.send_stream_data(socket.stream.number, encode_uint_var(0x21) + encode_uint_var(1 << 20) + bytes(1 << 20))
                await socket.echo("hello")
            await other.echo("hello")

    @in_process
    async def test_small_messages_to_readers_that_stall_harm_nobody(self):
        async with http3.client(ADDRESS, max_stream_data=1 << 14) as client:
            other = await client.open(AUTHORITY, "/ws")
            for _ in range(20):
                stalled = await client.open(AUTHORITY, "/ws")
                client.hold(stalled.stream)
                stalled.stream.send(b"".join(stalled.frames.send(TextMessage("x" * 20)) for _ in range(4000)))
            await asyncio.sleep(1)
            await other.echo("hello")

    @in_process
    async def test_an_empty_data_frame_is_no_end(self):
        async with http3.client(ADDRESS) as client:
            socket = await client.open(AUTHORITY, "/ws")
            client._quic.send_stream_data(socket.stream.number, b"\0\0")
            await socket.echo("hello")

    @in_process
    async def test_sockets_that_are_cancelled_while_both_sides_wait_leave_room_for_others(self):
        async with http3.client(ADDRESS, max_stream_data=1 << 15) as client:
            for _ in range(15):
                sockets = [await client.open(AUTHORITY, "/ws") for _ in range(20)]
                for socket in sockets:
                    # The handler waits for this client to read, and this client waits for the handler to read.
                    client.hold(socket.stream)
                    for _ in range(8):
                        socket.send(TextMessage("x" * (1 << 16)))
                await asyncio.sleep(0.5)
                for socket in sockets:
                    socket.stream.reset()
                    client._quic.stop_stream(socket.stream.number, 0x10C)
                client.transmit()
            # More than 256 in all. Nobody may have kept a place.
            await (await client.open(AUTHORITY, "/ws")).echo("hello")
            self.assertEqual((await client.get(AUTHORITY, "/").head())[0], 200)

    @in_process
    async def test_uploads_that_are_cancelled_at_once_harm_nobody(self):
        async with http3.client(ADDRESS) as client:
            other = await client.open(AUTHORITY, "/ws")
            for _ in range(12):
                uploads = [client.request(http3.pseudo("POST", AUTHORITY, "/nothing") + [("content-length", "5")]) for _ in range(100)]
                for upload in uploads:
                    upload.send(b"he")
                await asyncio.sleep(0.005)
                for upload in uploads:
                    upload.reset()
                # Until there is room for a hundred more.
                await asyncio.sleep(0.2)
            await other.echo("hello")

    @in_process
    async def test_a_long_head_is_answered(self):
        async with http3.client(ADDRESS) as client:
            long = client.request(http3.pseudo("GET", AUTHORITY, "/") + [("cookie", "x" * 20000)], end=True)
            self.assertEqual((await long.head())[0], 431)

    @in_process
    async def test_plain_requests_pass_with_their_bodies(self):
        async with http3.client(ADDRESS) as client:
            missing = client.request(http3.pseudo("POST", AUTHORITY, "/nothing") + [("content-length", "5")])
            missing.send(b"hello", end=True)
            self.assertEqual((await missing.head())[0], 404)
            plain = client.get(AUTHORITY, "/ws")
            self.assertEqual((await plain.head())[0], 400)

    @in_process
    async def test_each_half_ends_by_itself(self):
        async with http3.client(ADDRESS) as client:
            socket = await client.open(AUTHORITY, "/ws")
            await socket.echo("hello")
            socket.stream.send(b"", end=True)
            # Without a close frame the handler fails, and its stream comes to an end.
            with self.subTest("the handler hears of it"):
                try:
                    self.assertIsNone(await socket.message())
                except http3.Reset as reset:
                    self.assertEqual(str(reset), "0x10c")

    @in_process
    async def test_a_socket_that_is_reset_does_no_harm_to_others(self):
        async with http3.client(ADDRESS) as client:
            other = await client.open(AUTHORITY, "/ws")
            for _ in range(30):
                socket = await client.open(AUTHORITY, "/ws")
                await socket.echo("hello")
                socket.stream.reset()
            await other.echo("hello")

    @in_process
    async def test_a_reader_that_stalls_harms_nobody(self):
        async with http3.client(ADDRESS, max_stream_data=1 << 15) as client:
            other = await client.open(AUTHORITY, "/ws")
            stalled = [await client.open(AUTHORITY, "/ws") for _ in range(8)]
            for socket in stalled:
                # Its echoes are more than the windows have room for, and none of them is consumed.
                client.hold(socket.stream)
                for _ in range(16):
                    socket.send(TextMessage("x" * (1 << 16)))
            for _ in range(50):
                await other.echo("hello")

    @in_process
    async def test_a_server_that_stops_closes_its_sockets(self):
        server = subprocess.Popen([PROGRAM, "--addr", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            address = server.stdout.readline().rsplit("/", 1)[1].strip()
            authority = f"localhost:{address.rsplit(':', 1)[1]}"
            async with http3.client(address) as client, http3.client(address):
                socket = await client.open(authority, "/ws")
                await socket.echo("hello")
                server.send_signal(signal.SIGINT)
                # 1001: the server goes away.
                self.assertEqual(await socket.message(), 1001)
                await socket.answer_close()
                # Nor does the other connection, which is idle, hold the server up.
                self.assertEqual(await asyncio.to_thread(server.wait, 10), 0)
            self.assertIn("1 closed, 0 aborted", server.stdout.read())
        finally:
            server.kill()
            server.wait()

    @in_process
    async def test_a_thousand_sockets_on_ten_connections(self):
        async def hundred():
            async with http3.client(ADDRESS) as client:
                sockets = [await client.open(AUTHORITY, "/ws") for _ in range(100)]
                for _ in range(3):
                    await asyncio.gather(*(socket.echo(str(number)) for number, socket in enumerate(sockets)))
                await asyncio.gather(*(socket.close() for socket in sockets))

        await asyncio.gather(*(hundred() for _ in range(10)))


if __name__ == "__main__":
    unittest.main()
