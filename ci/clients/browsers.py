"""How browsers are started."""

import hashlib
import os
import queue
import signal
import ssl
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 60


def chromium(profile, url):
    return [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--ignore-certificate-errors",
        f"--user-data-dir={profile}",
    ]


def firefox(profile, url):
    (profile / "user.js").write_text('user_pref("datareporting.policy.dataSubmissionEnabled", false);\n')
    if url.startswith("wss:"):
        server = urlsplit(url)
        exception = f"{server.netloc}:\tOID.2.16.840.1.101.3.4.2.1\t{fingerprint(server)}\t\n"
        (profile / "cert_override.txt").write_text(exception)
    return ["firefox-esr", "--headless", "--no-remote", "--profile", str(profile)]


def webkit(profile, url):
    browser = next(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
    return ["xvfb-run", "--auto-servernum", str(browser), "--ignore-tls-errors"]


def fingerprint(server):
    certificate = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((server.hostname, server.port)))
    return hashlib.sha256(certificate).digest().hex(":").upper()


class Browser:
    """Opens the recorder's page with a profile of its own, and is ended when the page has reported."""

    def __init__(self, command):
        self.command = command

    def run(self, recorder, url, foreign):
        """What the page reports of the WebSocket at `url`, where it is one of a `foreign` origin or not."""
        page = f"http://{'localhost' if foreign else '127.0.0.1'}:{recorder.port}/page?socket={url}"
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            process = subprocess.Popen(
                [*self.command(Path(profile), url), page],
                env={**os.environ, "HOME": profile},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                return recorder.reports.get(timeout=TIMEOUT)
            except queue.Empty:
                return ["no report"]
            finally:
                end(process)


def end(process):
    """With all its children, which xvfb-run ends itself if it is asked to."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


CHROMIUM = Browser(chromium)
FIREFOX = Browser(firefox)
WEBKIT = Browser(webkit)
