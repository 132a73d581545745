"""Passes WebSockets on to a server, and keeps the last request for one. It also has the page that browsers open, and takes its report."""

import contextlib
import queue
import socket
import threading
import urllib.parse
from pathlib import Path

PAGE = Path(__file__).with_name("browser") / "page.html"


class Recorder:
    def __init__(self, server):
        host, port = server.rsplit(":", 1)
        self.server = (host, int(port))
        self.handshake = b""
        self.reports = queue.Queue()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        # A browser that is ended leaves its connections as they are.
        with contextlib.suppress(OSError):
            self.answer(client)

    def answer(self, client):
        head, rest = read_head(client)
        # The second is how HTTP/2 begins.
        if head.startswith((b"GET /ws ", b"PRI ")):
            self.handshake = head
            self.forward(client, head + rest)
            return
        body = b""
        if head.startswith(b"GET /page?"):
            body = PAGE.read_bytes()
        elif head.startswith(b"GET /report?"):
            query = head.split()[1].decode().partition("?")[2]
            self.reports.put(urllib.parse.unquote(query).split(","))
        with client:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n")
            client.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def forward(self, client, sent):
        server = socket.create_connection(self.server)
        server.sendall(sent)
        threading.Thread(target=copy, args=(server, client), daemon=True).start()
        copy(client, server)


def read_head(client):
    """What a client sends until the first empty line, and what has come behind it."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = client.recv(1 << 16)
        if not chunk:
            break
        received += chunk
    head, end, rest = received.partition(b"\r\n\r\n")
    return head + end, rest


def copy(reader, writer):
    with contextlib.suppress(OSError):
        while chunk := reader.recv(1 << 16):
            writer.sendall(chunk)
        writer.shutdown(socket.SHUT_WR)
