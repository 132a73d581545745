"""The same as `http3`, over HTTP/2: WebSockets on the streams of a TLS connection (RFC 8441), made of h2 and wsproto."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events

from http3 import Socket, Stream, pseudo


class Client(asyncio.Protocol):
    def __init__(self):
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.streams = {}
        self.settled = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        self.http.initiate_connection()
        self.transmit()

    def data_received(self, data):
        for event in self.http.receive_data(data):
            if isinstance(event, h2.events.RemoteSettingsChanged):
                self.settled.set()
            stream = self.streams.get(getattr(event, "stream_id", None))
            if stream is None:
                continue
            if isinstance(event, h2.events.ResponseReceived):
                stream.received.put_nowait(dict(event.headers))
            elif isinstance(event, h2.events.DataReceived):
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                stream.received.put_nowait(bytes(event.data))
            elif isinstance(event, h2.events.StreamEnded):
                stream.received.put_nowait(None)
        self.transmit()

    def transmit(self):
        self.transport.write(self.http.data_to_send())

    async def open(self, authority, path):
        await self.settled.wait()
        number = self.http.get_next_available_stream_id()
        stream = self.streams[number] = Stream(self, number)
        headers = pseudo("CONNECT", authority, path)
        headers += [(":protocol", "websocket"), ("sec-websocket-version", "13"), ("origin", f"https://{authority}")]
        self.http.send_headers(number, headers)
        self.transmit()
        status, headers = await stream.head()
        assert status == 200, status
        return Socket(stream, headers)


@asynccontextmanager
async def client(address):
    host, port = address.rsplit(":", 1)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_connection(Client, host, int(port), ssl=context, server_hostname="localhost")
    try:
        yield made
    finally:
        transport.close()
