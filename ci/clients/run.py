"""Runs clients that nobody here wrote against the examples `echo` and `tls`, and prints what each did.

`ci/clients.sh` builds the clients, starts the servers and runs this.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import clients
import report
from browsers import Browser
from recorder import Recorder


@dataclass
class Outcome:
    client: clients.Client
    # What it sent over HTTP/1.1.
    handshake: bytes
    # What it printed over HTTP/1.1 and over HTTP/2, and as one of a foreign page.
    http1: list
    http2: list | None
    refused: list

    def is_right(self):
        return self.http1 == report.WHOLE and self.http2 in (None, report.WHOLE) and self.refused[0].startswith("refused")


def try_out(client, args):
    recorder = Recorder(args.echo)
    url = f"ws://{recorder.address}/ws"
    http1 = client.runner.run(recorder, url, foreign=False)
    handshake = recorder.handshake
    refused = client.runner.run(recorder, url, foreign=True)
    http2 = over_http2(client.http2, recorder, args) if client.http2 else None
    return Outcome(client, handshake, http1, http2, refused)


def over_http2(runner, recorder, args):
    """What it prints over HTTP/2: a browser of the example `tls`, and a program, which trusts no certificate, of `echo`."""

    def count():
        return args.tls_stdout.read_text().count("a socket by CONNECT over HTTP/2.0\n")

    if isinstance(runner, Browser):
        before = count()
        lines = runner.run(recorder, f"wss://{args.tls}/ws", foreign=False)
        is_http2 = count() > before
    else:
        lines = runner.run(recorder, f"ws://{recorder.address}/ws", foreign=False)
        is_http2 = recorder.handshake.startswith(b"PRI ")
    return lines if is_http2 else ["not over HTTP/2", *lines]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("echo", help="HOST:PORT of the example echo")
    parser.add_argument("tls", help="HOST:PORT of the example tls, which lets pages of http://127.0.0.1 in")
    parser.add_argument("tls_stdout", type=Path, help="what that prints")
    parser.add_argument("built", type=Path, help="the directory of the programs")
    parser.add_argument("python", help="the Python that has the packages")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    chosen = clients.quick(args.built, args.python)
    if not args.quick:
        chosen += clients.slow(args.built)
    # The browsers first.
    chosen.sort(key=lambda client: (client.language != "browser", client.language.lower(), client.name.lower()))
    outcomes = [try_out(client, args) for client in chosen]
    print(report.table(outcomes))
    if args.write:
        report.write(outcomes)
    if wrong := [outcome for outcome in outcomes if not outcome.is_right()]:
        print("failed:", *wrong, sep="\n", file=sys.stderr)
        sys.exit(1)
    print(f"{len(outcomes)} clients connect, and are refused")


main()
