"""Runs Autobahn's cases against one server, and writes the verdict of each as JSON.

Run as `run.py ADDRESS OUT [--without-deflate] [--full]`. That a case fails is for `report.py` to judge.
"""

import argparse
import asyncio
import json
import os
import time
from pathlib import Path

import kosoku
from kosoku.cases import CASES

from kinds import kind

# The cases of these groups are about permessage-deflate.
DEFLATE = ["12.*", "13.*"]
# Each of them sends 1,000 messages, of up to 128 KiB. This is 32 windows of deflate, and enough.
ENOUGH = 1 << 20
# The client is bound to one core by Python's lock. More cases at once would only delay those that measure time.
PARALLEL = 2
# A case that is not OK is tried again by itself: some have two verdicts, by which of two things is quicker on a busy machine.
TRIES = 3


def shorten():
    """Has the cases about deflate end after `ENOUGH` octets."""
    cases = [case for id, case in CASES.items() if id.startswith(("12.", "13."))]
    for case in cases:
        case.COUNT = min(case.COUNT, ENOUGH // case.LEN)


async def results(address, cases, exclude, parallel):
    try:
        return await kosoku.run_fuzzingclient(f"ws://{address}/", cases, exclude, concurrency=parallel)
    except kosoku.FailureError as failure:
        return failure.results  # of all cases


async def verdicts(address, exclude):
    found = {}
    cases, parallel = None, PARALLEL
    for _ in range(TRIES):
        for result in await results(address, cases, exclude, parallel):
            now = {"verdict": verdict(result), "result": result.result}
            best = found.setdefault(result.case_id, now)
            if kind(now["verdict"]) < kind(best["verdict"]):
                found[result.case_id] = now
        cases = [case for case, one in found.items() if one["verdict"] != "OK"]
        parallel = 1
        if not cases:
            break
    return found


def verdict(result):
    behavior, close = result.behavior.value, result.behavior_close.value
    return behavior if close in ("OK", behavior) else f"{behavior}, closing: {close}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("out", type=Path)
    parser.add_argument("--without-deflate", action="store_true")
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    if not args.full:
        shorten()
    began = time.monotonic()
    found = asyncio.run(verdicts(args.address, DEFLATE if args.without_deflate else None))
    args.out.write_text(json.dumps(found))
    print(f"{len(found)} cases in {time.monotonic() - began:.0f} s", flush=True)
    # At times kosoku's own threads abort an interpreter that ends in the usual way.
    os._exit(0)


main()
