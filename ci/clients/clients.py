"""The clients, and how each is run."""

import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from browsers import CHROMIUM, FIREFOX, WEBKIT, Browser

HERE = Path(__file__).parent
FOREIGN = "https://evil.example"


class Program:
    def __init__(self, *command):
        self.command = command

    def run(self, recorder, url, foreign):
        """What it prints of the WebSocket at `url`, asked for with the origin of a `foreign` page or with none."""
        return printed(*self.command, url, FOREIGN if foreign else "")


def printed(*command):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    return (result.stdout.strip() or result.stderr.strip()).splitlines() or [""]


@dataclass
class Client:
    name: str
    language: str
    version: str
    runner: Program | Browser
    # How it is run over HTTP/2, if it has WebSockets over that.
    http2: Program | Browser | None = None


def debian(package):
    """The version of a package of Debian's, as those who wrote it count."""
    return printed("dpkg-query", "--show", "--showformat=${source:Upstream-Version}", package)[0].split("+")[0]


def quick(built, python):
    """Those that need no more than Python, Node and Chromium."""

    def pip(package, program, name=None):
        version = printed(python, "-c", f"import importlib.metadata as m; print(m.version('{package}'))")[0]
        return Client(name or package, "Python", version, Program(python, HERE / "python" / program))

    def npm(name, program):
        version = printed("node", "-p", f"require('{built}/node_modules/{name}/package.json').version")[0]
        return Client(name, "JavaScript", version, Program("node", built / program))

    return [
        Client("Chromium", "browser", debian("chromium"), CHROMIUM, CHROMIUM),
        pip("aiohttp", "aiohttp_client.py"),
        pip("curl_cffi", "curl_client.py", "libcurl, by curl_cffi"),
        pip("picows", "picows_client.py"),
        pip("tornado", "tornado_client.py"),
        pip("websocket-client", "websocket_client.py"),
        pip("websockets", "websockets_client.py"),
        npm("faye-websocket", "faye.mjs"),
        npm("undici", "undici.mjs"),
        npm("websocket", "websocket.mjs"),
        npm("ws", "ws.mjs"),
    ]


def slow(built):
    """Those that need another browser, or a compiler or an interpreter of their own."""
    okhttp = f"{built}:/usr/share/java/okhttp.jar:/usr/share/java/okio.jar"
    crates = {p["name"]: p["version"] for p in tomllib.loads((HERE / "rust/Cargo.lock").read_text())["package"]}

    def deb(package, language, name, *command):
        return Client(name, language, debian(package), Program(*command))

    def crate(name, http2=None):
        return Client(name, "Rust", crates[name], Program(built / "rust/debug" / name), http2)

    return [
        Client("Firefox", "browser", debian("firefox-esr"), FIREFOX, FIREFOX),
        Client("WebKitGTK", "browser", debian("libwebkit2gtk-4.1-0"), WEBKIT),
        deb("libsoup-3.0-0", "C", "libsoup", "/usr/bin/python3", HERE / "python/soup_client.py"),
        deb("libwebsockets-dev", "C", "libwebsockets", built / "libwebsockets"),
        deb("libboost1.74-dev", "C++", "Boost.Beast", built / "beast"),
        deb("libqt5websockets5", "C++", "QtWebSockets", built / "qt"),
        deb("libwebsocketpp-dev", "C++", "websocketpp", built / "websocketpp"),
        deb("golang-nhooyr-websocket-dev", "Go", "coder/websocket", built / "coder"),
        deb("golang-github-gorilla-websocket-dev", "Go", "gorilla/websocket", built / "gorilla"),
        Client("java.net.http", "Java", printed("java", "--version")[0].split()[1], Program("java", "-cp", built, "JdkClient")),
        deb("libokhttp-java", "Java", "OkHttp", "java", "-cp", okhttp, "OkHttpClient"),
        deb("libmojolicious-perl", "Perl", "Mojolicious", "perl", HERE / "perl/mojolicious.pl"),
        deb("ruby-faye-websocket", "Ruby", "faye-websocket", "ruby", HERE / "ruby/faye.rb"),
        crate("embedded-websocket"),
        crate("fastwebsockets"),
        crate("reqwest-websocket"),
        crate("tokio-tungstenite"),
        crate("tokio-websockets"),
        crate("yawc", Program("env", "HTTP2=1", built / "rust/debug/yawc")),
    ]
