"""A client of HTTP/3, and WebSockets on its streams (RFC 9220), made of aioquic and wsproto."""

import asyncio
import ssl
from contextlib import asynccontextmanager

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Message, Ping, TextMessage

PATIENCE = 20


class Reset(Exception):
    """The server has reset the stream, with this code."""


class Stream:
    """One stream of HTTP/3: the head of the answer, and then bytes until the end."""

    def __init__(self, client, number):
        self.client, self.number = client, number
        self.received = asyncio.Queue()

    async def next(self):
        item = await asyncio.wait_for(self.received.get(), PATIENCE)
        if isinstance(item, Exception):
            raise item
        return item

    async def head(self):
        headers = await self.next()
        return int(headers.pop(":status")), headers

    async def body(self):
        body = b""
        while (data := await self.next()) is not None:
            body += data
        return body

    def send(self, data, end=False):
        self.client.http.send_data(self.number, data, end)
        self.client.transmit()

    def reset(self):
        self.client._quic.reset_stream(self.number, 0x10C)  # H3_REQUEST_CANCELLED
        self.client.transmit()


class Client(QuicConnectionProtocol):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.http = H3Connection(self._quic)
        self.streams = {}
        self.held = set()
        limits = self._quic._write_stream_limits

        def write_stream_limits(builder, space, stream):
            if stream.stream_id not in self.held:
                limits(builder, space, stream)

        self._quic._write_stream_limits = write_stream_limits

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            for stream in self.streams.values():
                stream.received.put_nowait(Reset(f"connection ended: {event.error_code:#x} {event.reason_phrase}"))
        elif isinstance(event, StreamReset) and event.stream_id in self.streams:
            self.streams[event.stream_id].received.put_nowait(Reset(f"{event.error_code:#x}"))
        for received in self.http.handle_event(event):
            stream = self.streams.get(received.stream_id)
            if stream is None:
                continue
            if isinstance(received, HeadersReceived):
                headers = {name.decode(): value.decode() for name, value in received.headers}
                if ":status" in headers:
                    stream.received.put_nowait(headers)
            elif isinstance(received, DataReceived) and received.data:
                stream.received.put_nowait(received.data)
            if received.stream_ended:
                stream.received.put_nowait(None)

    def hold(self, stream):
        """From here on the server may send no more on this stream than its window has room for."""
        self.held.add(stream.number)

    def request(self, headers, end=False):
        number = self._quic.get_next_available_stream_id()
        stream = self.streams[number] = Stream(self, number)
        self.http.send_headers(number, [(name.encode(), value.encode()) for name, value in headers], end)
        self.transmit()
        return stream

    def raw(self, data):
        """A stream with these bytes, which need not be frames."""
        number = self._quic.get_next_available_stream_id()
        stream = self.streams[number] = Stream(self, number)
        self._quic.send_stream_data(number, data)
        self.transmit()
        return stream

    def get(self, authority, path):
        return self.request(pseudo("GET", authority, path), end=True)

    def ask(self, authority, path, origin, subprotocols=(), protocol="websocket"):
        headers = pseudo("CONNECT", authority, path)
        headers += [(":protocol", protocol), ("sec-websocket-version", "13"), ("origin", origin)]
        if subprotocols:
            headers.append(("sec-websocket-protocol", ", ".join(subprotocols)))
        return self.request(headers)

    async def open(self, authority, path, origin=None, subprotocols=()):
        stream = self.ask(authority, path, origin or f"https://{authority}", subprotocols)
        status, headers = await stream.head()
        assert status == 200, f"{status}: {await stream.body()}"
        return Socket(stream, headers)


class Socket:
    """A WebSocket on a stream, framed by wsproto."""

    def __init__(self, stream, headers):
        self.stream, self.headers = stream, headers
        self.frames = Connection(ConnectionType.CLIENT)

    def send(self, event):
        self.stream.send(self.frames.send(event))

    async def message(self):
        """The next message, whole; the code of a close; `None` at the end of the stream."""
        parts = []
        while True:
            for event in self.frames.events():
                if isinstance(event, Message):
                    parts.append(event.data)
                    if event.message_finished:
                        return ("" if isinstance(event, TextMessage) else b"").join(parts)
                elif isinstance(event, CloseConnection):
                    self.asked_to_close = event
                    return event.code
                elif isinstance(event, Ping):
                    self.send(event.response())
            data = await self.stream.next()
            if data is None:
                return None
            self.frames.receive_data(data)

    async def echo(self, text):
        self.send(TextMessage(text))
        assert await self.message() == text

    async def answer_close(self):
        self.stream.send(self.frames.send(self.asked_to_close.response()), end=True)
        assert await self.stream.next() is None

    async def close(self):
        self.send(CloseConnection(1000))
        assert await self.message() == 1000
        assert await self.stream.next() is None


def pseudo(method, authority, path):
    return [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]


@asynccontextmanager
async def client(address, **options):
    host, port = address.rsplit(":", 1)
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name="localhost", **options)
    async with connect(host, int(port), configuration=configuration, create_protocol=Client) as made:
        yield made
