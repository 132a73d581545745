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
# Autobahn's cases

`ci/autobahn.sh --write` writes this file; without `--write` it fails if anything has changed. It runs the cases of the
Autobahn test suite, by the client kosoku, against each framing library behind the layer, and against the same library
by its own accept, without this crate. A case that is not OK behind the layer must have the same verdict without it, and
a reason below. One that is not OK is tried three times, for some measure time, and its best verdict counts.

{table}

The last column has the same three counts. yawc has permessage-deflate, and with it the 216 cases of the groups 12 and
13, which the others do not. Each of those sends 1,000 messages; here they end after 1 MiB if that comes first.
`ci/autobahn.sh --full` leaves them whole, for the same verdicts.

The servers echo; they are those of `comparisons/benches/framing`. yawc's has `Options::with_utf8` and a limit of 64 MiB by
`Options::with_limits`: it does not check text by itself, and the largest messages of the cases have 16 MiB.

## Through the gateway

| Server | cases | passed, strictly or not | failed or unimplemented |
|---|---|---|---|
{gateway}

The example `gateway` looks into no frames, so that what fails through it fails without it, and nothing else. How strictly
`websockets` takes some cases depends on which of two things it does first, and is not compared.

## Those that are not OK

{known}

None of them is this crate's doing.
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
    rows = [row("Library", "cases", *KINDS, "by its own accept"), row(*["---"] * 6)]
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
        verdict = f"OK; by its own accept {known['own']}" if "own" in known else known["verdict"]
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
