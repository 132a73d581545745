"""Judges what `run.py` has found, and holds docs/results/autobahn.md against it.

Run as `report.py FOUND [--write]`, where FOUND is a directory with `NAME.json` and `own-NAME.json` for each library.
With `--write` the document is written rather than compared.
"""

import json
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from kinds import KINDS, kind

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/results/autobahn.md"
KNOWN = tomllib.loads((ROOT / "ci/autobahn/known.toml").read_text())["known"]

# The name of each server of comparisons/benches/framing: its crate, and how many cases there are for it.
LIBRARIES = {
    "fastwebsockets": ("fastwebsockets", 301),
    "tokio-websockets": ("tokio-websockets", 301),
    "tungstenite": ("tokio-tungstenite", 301),
    "yawc": ("yawc", 517),
}

TEXT = """\
# Autobahn

`ci/autobahn.sh --write` writes this file. Without `--write`, the script fails if anything has changed. It runs the Autobahn test suite, with the
client kosoku, against each framing library behind the layer, and against the same library without this crate. If a case is not OK behind the
layer, it must have the same verdict without the layer, and a reason below. Cases that are not OK run three times, because some of them measure
time. The best verdict counts.

{table}

The last column has the same three counts without this crate. Only yawc has permessage-deflate, and so only yawc runs the 216 cases of groups 12
and 13. Each of these cases sends 1,000 messages, but stops after 1 MiB here. `ci/autobahn.sh --full` runs them whole, with the same verdicts.

The servers are the echo servers of `comparisons/benches/framing`. The server with yawc sets `Options::with_utf8`, because yawc does not check text
by default. It also sets a limit of 64 MiB with `Options::with_limits`, because the largest messages have 16 MiB.

## Through the gateway

| Server | cases | passed, strictly or not | failed or unimplemented |
|---|---|---|---|
{gateway}

The example `gateway` does not look into frames, so exactly the same cases fail with and without it. How strictly `websockets` treats some cases
depends on timing, so strictness is not compared.

## Those that are not OK

{known}

This crate causes none of them.
"""

problems = []


def counts(found):
    kinds = [kind(case["verdict"]) for case in found.values()]
    return [kinds.count(kind) for kind in range(len(KINDS))]


def passed(found):
    return kind(found["verdict"]) < 2


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def read(directory, name, expected):
    path = directory / f"{name}.json"
    if not path.exists():
        problems.append(f"{name}: no cases ran")
        return {}
    found = json.loads(path.read_text())
    if len(found) != expected:
        problems.append(f"{name}: {len(found)} cases ran, and not {expected}")
    return found


def entry(name, case):
    for entry in KNOWN:
        if name in entry.get("libraries", LIBRARIES) and any(fnmatch(case, pattern) for pattern in entry["cases"]):
            return entry
    return {"verdict": "OK"}


def judge(name, behind, own):
    ran = sorted(behind.keys() | own.keys(), key=lambda case: [*map(int, case.split("."))])
    for case in ran:
        known = entry(name, case)
        # Only a library that does without this crate what it does behind it can be to blame for a failure.
        by_own = known.get("own", "OK") if known["verdict"] == "OK" else known["verdict"]
        for server, found, expected in [(name, behind, known["verdict"]), (f"own-{name}", own, by_own)]:
            found = found.get(case, {"verdict": "not run", "result": ""})
            if found["verdict"] != expected:
                problems.append(f"{server}: {case} is {found['verdict']} ({found['result']}), and not {expected}")
    for listed in KNOWN:
        for pattern in listed["cases"]:
            if name in listed.get("libraries", LIBRARIES) and not any(fnmatch(case, pattern) for case in ran):
                problems.append(f"{name}: {pattern} is listed, and no such case ran")


def document(directory):
    dependencies = tomllib.loads((ROOT / "Cargo.toml").read_text())["dependencies"]
    rows = [row("Library", "cases", *KINDS, "without this crate"), row(*["---"] * 6)]
    crates = {}
    for name, (crate, expected) in LIBRARIES.items():
        behind, own = (read(directory, server, expected) for server in (name, f"own-{name}"))
        judge(name, behind, own)
        crates[name] = crate
        version = dependencies[crate]["version"]
        rows.append(row(f"{crate} {version}", len(behind), *counts(behind), ", ".join(map(str, counts(own)))))
    reasons = [row("Case", "library", "verdict", "why"), row(*["---"] * 4)]
    for known in KNOWN:
        libraries = [crates[name] for name in known["libraries"]] if "libraries" in known else ["all"]
        verdict = f"OK; without this crate {known['own']}" if "own" in known else known["verdict"]
        reasons.append(row(", ".join(known["cases"]), ", ".join(libraries), verdict, known["reason"].strip()))
    servers = {
        "Python's `websockets`": read(directory, "websockets", 517),
        "the same through `gateway`": read(directory, "gateway", 517),
    }
    by_itself, through = servers.values()
    for case in sorted(by_itself.keys() & through.keys()):
        if passed(by_itself[case]) != passed(through[case]):
            verdicts = [found[case]["verdict"] for found in (through, by_itself)]
            problems.append("gateway: {} is {}, and without the gateway {}".format(case, *verdicts))
    gateway = []
    for name, found in servers.items():
        good = sum(map(passed, found.values()))
        gateway.append(row(name, len(found), good, len(found) - good))
    return TEXT.format(table="\n".join(rows), known="\n".join(reasons), gateway="\n".join(gateway))


def main():
    text = document(Path(sys.argv[1]))
    print("\n".join(line for line in text.splitlines() if line.startswith("|")))
    if not problems:
        if "--write" in sys.argv[2:]:
            DOCUMENT.write_text(text)
        elif not DOCUMENT.exists() or DOCUMENT.read_text() != text:
            problems.append("docs/results/autobahn.md is not what was found: see `ci/autobahn.sh --write`")
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(bool(problems))


main()
