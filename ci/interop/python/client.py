"""Python's `websockets` against the examples. `ci/interop.sh` starts them and passes where each listens."""

import asyncio
import os
import time
import unittest
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

ECHO = os.environ["ECHO"]
LISTED_ORIGIN = os.environ["LISTED_ORIGIN"]
ORIGINS = os.environ["ORIGINS"]
ORIGINS_FILE = Path(os.environ["ORIGINS_FILE"])
ORIGINS_STDERR = Path(os.environ["ORIGINS_STDERR"])

SERVERS = [
    ("echo", ECHO, "/ws"),
    ("tcp", os.environ["TCP"], "/ws"),
    ("hyper", os.environ["HYPER"], "/ws"),
    ("same_url", os.environ["SAME_URL"], "/"),
    ("origins", ORIGINS, "/ws"),
]

FOREIGN_ORIGIN = (403, b"pages of this origin may not connect")
FOREIGN_HOST = (403, b"this host is not served here")


def opening(address, path="/ws", **options):
    # A proxy of the environment is not for loopback.
    return connect(f"ws://{address}{path}", proxy=None, **options)


class Case(unittest.IsolatedAsyncioTestCase):
    async def echo(self, socket, message):
        await socket.send(message)
        echoed = await asyncio.wait_for(socket.recv(), 10)
        self.assertIs(type(echoed), type(message))
        # Not `assertEqual`: a difference in 1 MiB would be printed.
        self.assertTrue(echoed == message, f"{len(echoed)} other characters came back")

    async def close(self, socket):
        await socket.close(1000, "done")
        # What the server sent, not what was sent to it.
        self.assertEqual(socket.protocol.close_rcvd.code, 1000)

    async def refused(self, address, path="/ws", **options):
        with self.assertRaises(InvalidStatus) as caught:
            async with opening(address, path, **options):
                pass
        response = caught.exception.response
        return response.status_code, bytes(response.body)


class EachExample(Case):
    async def test_echoes_text_and_binary_then_closes_with_1000(self):
        for name, address, path in SERVERS:
            with self.subTest(name):
                async with opening(address, path) as socket:
                    self.assertEqual(socket.protocol.extensions, [])
                    await self.echo(socket, "hello, Wörld 🦀")
                    await self.echo(socket, b"\x00\x01\x80\xff")
                    await self.echo(socket, "")
                    await self.close(socket)

    async def test_echoes_1_mib_of_text_and_of_binary(self):
        for name, address, path in SERVERS:
            with self.subTest(name):
                async with opening(address, path) as socket:
                    await self.echo(socket, "x" * 2**20)
                    await self.echo(socket, os.urandom(2**20))
                    await self.close(socket)

    async def test_refuses_a_foreign_origin_with_403(self):
        for name, address, path in SERVERS:
            with self.subTest(name):
                refusal = await self.refused(address, path, origin="https://foreign.example")
                self.assertEqual(refusal, FOREIGN_ORIGIN)

    async def test_refuses_a_foreign_host_with_403_though_its_page_is_of_the_same_origin(self):
        for name, address, path in SERVERS:
            host, port = address.split(":")
            rebound = f"rebound.example:{port}"
            for origin in (None, f"http://{rebound}"):
                with self.subTest(name, origin=origin):
                    refusal = await self.refused(rebound, path, origin=origin, host=host, port=int(port))
                    self.assertEqual(refusal, FOREIGN_HOST)


class Echo(Case):
    async def test_same_listed_and_no_origin_are_accepted(self):
        for origin in (f"http://{ECHO}", LISTED_ORIGIN, None):
            with self.subTest(origin=origin):
                async with opening(ECHO, origin=origin) as socket:
                    await self.echo(socket, "hello")
                    await self.close(socket)

    async def test_the_servers_preference_decides_the_subprotocol(self):
        for offered in (["v1.chat", "v2.chat"], ["v2.chat", "v1.chat"]):
            async with opening(ECHO, subprotocols=offered) as socket:
                self.assertEqual(socket.subprotocol, "v2.chat")

    async def test_the_only_subprotocol_in_common_is_selected(self):
        async with opening(ECHO, subprotocols=["v0.chat", "v1.chat"]) as socket:
            self.assertEqual(socket.subprotocol, "v1.chat")

    async def test_no_subprotocol_in_common_and_none_offered_give_none(self):
        for offered in (["v3.chat"], None):
            async with opening(ECHO, subprotocols=offered) as socket:
                self.assertIsNone(socket.subprotocol)
                self.assertNotIn("Sec-WebSocket-Protocol", socket.response.headers)
                await self.echo(socket, "hello")

    async def test_20_sockets_at_once_each_get_their_own_messages(self):
        sockets = await asyncio.gather(*(opening(ECHO) for _ in range(20)))
        self.assertEqual({socket.state.name for socket in sockets}, {"OPEN"})
        await asyncio.gather(*(self.echo(socket, f"message {i}") for i, socket in enumerate(sockets)))
        await asyncio.gather(*(self.close(socket) for socket in sockets))


class Origins(Case):
    """The list of origins is rewritten while the example `origins` serves."""

    FIRST, SECOND, THIRD = (f"https://{name}.python.example" for name in ("first", "second", "third"))

    def rewrite(self, text):
        """Renamed into place, so that the example reads the whole text or the old one."""
        new = ORIGINS_FILE.with_suffix(".new")
        new.write_text(text)
        new.replace(ORIGINS_FILE)

    async def accepts(self, origin):
        try:
            async with opening(ORIGINS, origin=origin):
                return True
        except InvalidStatus as refusal:
            self.assertEqual(refusal.response.status_code, 403)
            return False

    async def within_2_s(self, what, done):
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            if await done():
                return
            await asyncio.sleep(0.02)
        self.fail(f"after 2 s: {what}")

    async def in_force(self, text, origin):
        self.rewrite(text)
        await self.within_2_s(f"{origin} is still refused", lambda: self.accepts(origin))

    async def test_a_new_origin_is_accepted_within_2_s_and_the_removed_one_refused(self):
        await self.in_force(f"{self.FIRST}\n", self.FIRST)
        self.assertFalse(await self.accepts(self.SECOND))
        await self.in_force(f"# the next\n\n{self.SECOND}\n", self.SECOND)
        self.assertFalse(await self.accepts(self.FIRST))

    async def test_a_mistake_leaves_the_old_list_in_force_and_stderr_says_why(self):
        bad = "https://third.python.example/path"
        for name, text, fault in (
            ("a bad line", f"{self.THIRD}\n{bad}\n", f"`{bad}`"),
            ("no final newline", self.THIRD, "does not end with a newline"),
        ):
            with self.subTest(name):
                await self.in_force(f"{self.SECOND}\n", self.SECOND)
                before = len(ORIGINS_STDERR.read_text())
                self.rewrite(text)

                async def told():
                    said = ORIGINS_STDERR.read_text()[before:]
                    return fault in said and said.endswith("the old list stays in force\n")

                await self.within_2_s("nothing on stderr", told)
                self.assertTrue(await self.accepts(self.SECOND))
                self.assertFalse(await self.accepts(self.THIRD))


if __name__ == "__main__":
    unittest.main()
