"""The example `client` against a server of Python's `websockets`, and the client of `examples/framing` that compresses.

`ci/interop.sh` passes where they are.
"""

import asyncio
import os
import unittest
from http import HTTPStatus

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

CLIENT = os.environ["CLIENT"]
COMPRESSING_CLIENT = os.environ["COMPRESSING_CLIENT"]


async def run(*arguments, client=CLIENT):
    """Runs a client, and gives its lines and whether it succeeded."""
    process = await asyncio.create_subprocess_exec(
        client, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await asyncio.wait_for(process.communicate(), 10)
    return output.decode().rstrip("\n").split("\n"), process.returncode == 0


class Client(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.connections = []

        async def echo(socket):
            self.connections.append(socket)
            try:
                async for message in socket:
                    await socket.send(message)
            except ConnectionClosed:
                pass

        def process_request(socket, request):
            if request.path == "/refused":
                return socket.respond(HTTPStatus.FORBIDDEN, "not for you\n")

        self.server = await serve(
            echo, "127.0.0.1", 0, subprotocols=["v1.chat", "v0.chat"], process_request=process_request
        )
        host, port = self.server.sockets[0].getsockname()
        self.url = f"ws://{host}:{port}"

    async def asyncTearDown(self):
        self.server.close()
        await self.server.wait_closed()

    async def test_messages_go_there_and_back_and_it_closes_with_1000(self):
        lines, succeeded = await run(f"{self.url}/chat", "--subprotocol", "v1.chat", "hello, Wörld 🦀", "", "x" * 60_000)
        self.assertEqual(lines[:3], ["subprotocol: v1.chat", "hello, Wörld 🦀", ""])
        self.assertEqual(lines[3], "x" * 60_000)
        self.assertTrue(succeeded)
        closed = self.connections[-1].protocol.close_rcvd
        self.assertEqual((closed.code, closed.reason), (1000, "done"))

    async def test_permessage_deflate_is_agreed_on_and_done(self):
        # It asks for windows of 4 KiB on both sides by default.
        text = "".join(str(n) for n in range(20_000))
        lines, succeeded = await run(f"{self.url}/chat", text, "hello", text, client=COMPRESSING_CLIENT)
        agreed = "deflate: permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
        self.assertEqual(lines[0], agreed)
        self.assertEqual(lines[1:], [text, "hello", text])
        self.assertTrue(succeeded)

    async def test_a_refusal_can_be_read(self):
        lines, succeeded = await run(f"{self.url}/refused")
        self.assertFalse(succeeded)
        self.assertEqual((lines[0], lines[-1]), ("403 Forbidden", "not for you"))

    async def test_without_a_subprotocol_in_common_it_is_refused(self):
        lines, succeeded = await run(f"{self.url}/chat", "--subprotocol", "v9.chat")
        self.assertFalse(succeeded)
        self.assertEqual(lines[0], "400 Bad Request")


unittest.main()
