"""Runs clients that nobody here wrote against a server, and prints what each did as a table in Markdown.

Arguments: the server's HOST:PORT, whose WebSocket is at /ws, the directory with the programs that ci/clients.sh has built, and the
Python that has the packages.
"""

import socket
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent
FOREIGN = "https://evil.example"
# `opened` and so on are what each program prints.
WHOLE = ["opened", "echoed", "closed 1000"]


def clients(built, python):
    """The name of each client, its language, what prints its version, and its command."""

    def debian(package):
        return ["dpkg-query", "-W", "-f", "${source:Upstream-Version}", package]

    def pip(package):
        return [python, "-c", f"import importlib.metadata as m; print(m.version('{package}'))"]

    def npm(package):
        return ["node", "-p", f"require('{built}/node_modules/{package}/package.json').version"]

    java = f"{built}:/usr/share/java/okhttp.jar:/usr/share/java/okio.jar"
    return [
        ("aiohttp", "Python", pip("aiohttp"), [python, HERE / "python/aiohttp_client.py"]),
        ("tornado", "Python", pip("tornado"), [python, HERE / "python/tornado_client.py"]),
        ("websocket-client", "Python", pip("websocket-client"), [python, HERE / "python/websocket_client.py"]),
        ("websockets", "Python", pip("websockets"), [python, HERE / "python/websockets_client.py"]),
        ("libsoup", "C, from Python", debian("gir1.2-soup-3.0"), ["/usr/bin/python3", HERE / "python/soup_client.py"]),
        ("ws", "JavaScript", npm("ws"), ["node", built / "ws.mjs"]),
        ("undici", "JavaScript", npm("undici"), ["node", built / "undici.mjs"]),
        ("websocket", "JavaScript", npm("websocket"), ["node", built / "websocket.mjs"]),
        ("faye-websocket", "JavaScript", npm("faye-websocket"), ["node", built / "faye.mjs"]),
        ("Mojolicious", "Perl", debian("libmojolicious-perl"), ["perl", HERE / "perl/mojolicious.pl"]),
        ("faye-websocket", "Ruby", debian("ruby-faye-websocket"), ["ruby", HERE / "ruby/faye.rb"]),
        ("java.net.http", "Java", ["java", "-version"], ["java", "-cp", built, "JdkClient"]),
        ("OkHttp", "Java", debian("libokhttp-java"), ["java", "-cp", java, "OkHttpClient"]),
        ("gorilla/websocket", "Go", debian("golang-github-gorilla-websocket-dev"), [built / "gorilla"]),
        ("coder/websocket", "Go", debian("golang-nhooyr-websocket-dev"), [built / "coder"]),
        ("QtWebSockets", "C++", debian("libqt5websockets5"), [built / "qt"]),
    ]


class Recorder:
    """Passes connections on to a server, and keeps the head of the last request."""

    def __init__(self, server):
        host, port = server.rsplit(":", 1)
        self.server = (host, int(port))
        self.head = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            self.head = b""
            server = socket.create_connection(self.server)
            threading.Thread(target=self.copy, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.copy, args=(server, client, False), daemon=True).start()

    def copy(self, reader, writer, records):
        try:
            while chunk := reader.recv(1 << 16):
                if records and b"\r\n\r\n" not in self.head:
                    self.head += chunk
                writer.sendall(chunk)
            writer.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def said(command, *arguments):
    """The lines that a program prints."""
    result = subprocess.run([*map(str, command), *arguments], capture_output=True, text=True, timeout=60)
    return (result.stdout.strip() or result.stderr.strip()).splitlines() or [""]


def main(server, built, python):
    recorder = Recorder(server)
    url = f"ws://{recorder.address}/ws"
    failed = []
    requests = []
    print("| Client | Language | Version | Opened, echoed 1 MiB, closed | A foreign origin: what it reports |")
    print("|---|---|---|---|---|")
    for name, language, version, command in clients(Path(built), python):
        whole = said(command, url, "")
        head = recorder.head.split(b"\r\n\r\n")[0].decode("latin-1").replace(recorder.address, "127.0.0.1:3000")
        refused = said(command, url, FOREIGN)
        if whole != WHOLE or not refused[0].startswith("refused"):
            failed.append(f"{name} ({language}): {whole} {refused}")
        passed = "yes" if whole == WHOLE else ", ".join(whole)
        report = refused[0].removeprefix("refused").strip().replace(recorder.address, "127.0.0.1:3000")
        report = f"`{report[:120]}`" if report else "nothing"
        print(f"| {name} | {language} | {said(version)[0]} | {passed} | {report.replace('|', chr(92) + '|')} |")
        requests.append(f"### {name}, {language}\n\n```http\n{head}\n```\n")
    print("\nTcllib's `websocket` 1.4.2 does not connect: it looks for the spelling `Sec-WebSocket-Accept`, and hyper writes header names in")
    print("lower case. `title_case_headers` helps: see [Troubleshooting](../guide/troubleshooting.md).")
    print("\n## What each sent\n")
    print("\n".join(requests))
    if failed:
        print("failed:", *failed, sep="\n", file=sys.stderr)
        sys.exit(1)


main(*sys.argv[1:])
