"""The example `doctor` on servers of Python's `websockets`, with and without `origins`. `ci/interop.sh` passes where it is."""

import asyncio
import os
import unittest

from websockets.asyncio.server import serve

DOCTOR = os.environ["DOCTOR"]


async def examine(port):
    process = await asyncio.create_subprocess_exec(DOCTOR, f"http://127.0.0.1:{port}/ws", stdout=asyncio.subprocess.PIPE)
    report, _ = await asyncio.wait_for(process.communicate(), 60)
    return report.decode(), process.returncode


class Doctor(unittest.IsolatedAsyncioTestCase):
    async def serve(self, **options):
        server = await serve(lambda socket: socket.wait_closed(), "127.0.0.1", **options)
        self.addAsyncCleanup(server.wait_closed)
        self.addCleanup(server.close)
        return server.sockets[0].getsockname()[1]

    async def test_without_origins(self):
        report, status = await examine(await self.serve())
        self.assertIn(": Pages of other sites can connect.", report)
        self.assertEqual(status, 1, report)

    async def test_with_origins(self):
        origins = []
        port = await self.serve(origins=origins)
        origins.append(f"http://127.0.0.1:{port}")
        report, status = await examine(port)
        self.assertIn(": Pages of other origins cannot connect.", report)
        self.assertEqual(status, 0, report)


if __name__ == "__main__":
    unittest.main()
