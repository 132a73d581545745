"""What the clients did: docs/results/clients.md, and tests/cases/clients.json with what each sent."""

import base64
import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What a client prints that has opened a socket, got its message back and closed.
WHOLE = ["opened", "echoed", "closed 1000"]

TEXT = """\
# Clients

`ci/clients.sh --write` writes this page. Each client was written by somebody else. It opens a WebSocket to the example `echo` over
HTTP/1.1, sends 1 MiB, compares what comes back, and closes with 1000. Then it asks with the `Origin` of a foreign page, which the
layer refuses (403). A client that has WebSockets over HTTP/2 does the same over HTTP/2; browsers do so with the example `tls`.

{table}

- `yes`: opened, echoed and closed.
- `–`: not tried. The client has no WebSockets over HTTP/2, or its own do not work (undici, below).
- `1006`: a browser gives scripts no other reason for a handshake that failed. Its console says that the status was 403.
- `nothing`: the client's error has no message. A message of more than 120 characters ends in `…`.
- The versions are those of Debian 12, of npm and PyPI, and of crates.io.

Not in the table:

{left_out}

## What each sent

Over HTTP/1.1. [tests/cases/clients.json](../../tests/cases/clients.json) has the same requests as cases.

{requests}
"""

LEFT_OUT = """\
- Tcllib's `websocket` 1.4.2 does not connect: it looks for the spelling `Sec-WebSocket-Accept`, and hyper writes header names in
  lower case. `title_case_headers` helps: see [Troubleshooting](../guide/troubleshooting.md).
- undici 7.30.2 over HTTP/2: it requires `Sec-WebSocket-Accept` there, which RFC 8441 §5 leaves out (nodejs/undici#5681). undici 8
  works, and needs Node 22.19.
- Safari and Starscream, which need Apple's systems, and .NET and Dart, which Debian does not package. What they send is in
  [tests/cases/more-clients.json](../../tests/cases/more-clients.json), written by hand.
- Ruby's `async-websocket`, which Debian does not package."""


def table(outcomes):
    lines = [
        "| Client | Language | Version | HTTP/1.1 | HTTP/2 | What it says when it is refused |",
        "|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        client = outcome.client
        cells = [client.name, client.language, client.version, passed(outcome.http1), passed(outcome.http2)]
        lines.append(f"| {' | '.join(cells)} | {refusal(outcome.refused)} |")
    return "\n".join(lines)


def passed(lines):
    if lines is None:
        return "–"
    return "yes" if lines == WHOLE else ", ".join(lines)


def refusal(lines):
    said = lines[0].removeprefix("refused").strip().replace("|", "\\|")
    said = said if len(said) <= 120 else f"{said[:120]}…"
    return f"`{said}`" if said else "nothing"


def case(outcome):
    """Its handshake, byte for byte, as tests/cases/README.md describes."""
    client = outcome.client
    lines = outcome.handshake.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    key = next(line.split(":", 1)[1] for line in lines if line.lower().startswith("sec-websocket-key:"))
    accept = hashlib.sha1(f"{key.strip()}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    return {
        "name": f"{client.name}, {client.language}",
        "request": lines,
        "expect": {
            "status": 101,
            "headers": {"Sec-WebSocket-Accept": base64.b64encode(accept).decode()},
            "absent": ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"],
        },
        "why": f"Version {client.version} sends it.",
        "source": "RFC 6455 §4.1",
    }


def section(case):
    lines = "\n".join(case["request"])
    return f"### {case['name']}\n\n```http\n{lines}\n```"


def write(outcomes):
    cases = [case(outcome) for outcome in outcomes]
    subject = {
        "about": "handshakes as clients in use send them, byte for byte, written by ci/clients.sh",
        "policy": {"allow_origin": "same-origin"},
        "cases": cases,
    }
    page = TEXT.format(table=table(outcomes), left_out=LEFT_OUT, requests="\n\n".join(map(section, cases)))
    (ROOT / "docs/results/clients.md").write_text(page)
    (ROOT / "tests/cases/clients.json").write_text(json.dumps(subject, indent=2, ensure_ascii=False) + "\n")
