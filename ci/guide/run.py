"""Runs what README and the guide tell a reader to run, and holds what they say comes out against what does.

Run as `run.py EXAMPLES`, the directory of the built examples. In each page the blocks are run from top to bottom:

- `sh`: by bash. `cargo run --example NAME` is the built example, once its features are seen to be those it needs; one that
  serves goes on until the end of the page, and `$NAME` is its address. What takes a machine for itself, or is a step of
  `.ci/run`, has to stand in the script named by `ELSEWHERE`.
- `text` behind it: what that has printed; `...` stands for anything within a line.
- `toml`, `yaml`, `ini`: read as Cargo, Kubernetes and systemd read them.

Commands of cargo that stand in the text are held against the targets of Cargo.toml and the features that those need.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import kubernetes_validate
import yaml

ROOT = Path(__file__).parents[2]
MANIFEST = tomllib.loads((ROOT / "Cargo.toml").read_text())
FEATURES = MANIFEST["features"]
# Those without an entry are found by Cargo, and need nothing.
TARGETS = {("example", path.stem): set() for path in ROOT.glob("examples/*.rs")} | {
    (kind, target["name"]): set(target.get("required-features", []))
    for kind in ("bench", "example", "test")
    for target in MANIFEST[kind]
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/guide").glob("*.md"))]
# Commands that are run by somebody else: the beginning of the command, and the script that has to run it.
ELSEWHERE = {"cargo test --all-features": ".ci/run"}
# Pages whose commands are read, and run, by somebody else.
TAKEN = {"docs/guide/cluster.md": "benches/cluster/programs.rs"}
# What is not there on a machine that only builds.
STAND_INS = {"/usr/local/bin/chat": "/bin/true"}


def fail(page, line, problem):
    sys.exit(f"{page.relative_to(ROOT)}:{line}: {problem}")


def blocks(page):
    """The fenced blocks of a page: language, text, and the line at which each begins."""
    # A fence may be indented, as in a list, and so are its lines then.
    for found in re.finditer(r"(?ms)^( *)```([a-z]*)[^\n]*\n(.*?)^\1```$", page.read_text()):
        indent, language, text = found.groups()
        line = page.read_text().count("\n", 0, found.start()) + 2
        yield language, re.sub(rf"(?m)^{indent}", "", text), line


def enabled(names):
    """Those features, and all that they bring."""
    found = set()
    while names:
        name = names.pop()
        if name in FEATURES and name not in found:
            found.add(name)
            names.update(FEATURES[name])
    return found


def cargo(command):
    """The verb, the name of the target, and the arguments, if this is cargo's and names an example, a benchmark or a test."""
    own, _, rest = command.partition(" -- ")
    own = shlex.split(own)
    kind = next((kind for kind in ("bench", "example", "test") if f"--{kind}" in own), None)
    if own[:1] != ["cargo"] or not kind or "--manifest-path" in own:
        return None
    name = own[own.index(f"--{kind}") + 1]
    features = set() if "--no-default-features" in own else {"default"}
    if "--features" in own:
        features |= set(own[own.index("--features") + 1].split(","))
    if "--all-features" in own:
        features |= set(FEATURES)
    missing = TARGETS.get((kind, name), {"to be written"}) - enabled(features)
    if missing:
        raise ValueError(f"`{command}` also needs {', '.join(sorted(missing))}")
    return own[1], name, rest


def example(command):
    """The name and the arguments of `cargo run --example NAME`, if that is what it is."""
    found = cargo(command)
    return found[1:] if found and found[0] == "run" else None


def check_spans(page):
    """What stands in a line of text, as in a table, is to be what one can run too."""
    text = page.read_text()
    for found in re.finditer(r"`(cargo (?:bench|run|test) [^`]+)`", text):
        try:
            cargo(found[1])
        except ValueError as problem:
            fail(page, text.count("\n", 0, found.start()) + 1, problem)


class Reader:
    """Does what a page says."""

    def __init__(self, page, directory, examples):
        self.page, self.directory, self.examples = page, directory, examples
        self.servers = []
        self.environment = dict(os.environ, NO_COLOR="1")

    def run(self, text, line):
        """Runs a block, and gives what it has printed."""
        printed = ""
        for command in re.sub(r"\\\n\s*", " ", text).splitlines():
            if not command.strip() or command.startswith("#"):
                continue
            script = next((script for begin, script in ELSEWHERE.items() if command.startswith(begin)), None)
            if script:
                if command not in (ROOT / script).read_text():
                    fail(self.page, line, f"`{command}` is not run by {script}")
                continue
            try:
                found = example(command)
                # Within another command, as behind `timeout`.
                inner = re.search(r"cargo run --example ([a-z_]+)(?: --features [a-z0-9,-]+)?(?: --)?", command)
                if not found and inner:
                    example(inner[0])
                    command = command.replace(inner[0], str(self.examples / inner[1]))
            except ValueError as problem:
                fail(self.page, line, problem)
            printed += self.start(line, *found) if found else self.bash(line, command)
        return printed

    def bash(self, line, command):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=60,
        )
        if done.returncode:
            fail(self.page, line, f"`{command}` failed: {done.stderr}{done.stdout}")
        return done.stdout

    def start(self, line, name, arguments):
        """Runs an example until it has ended, or listens; then it is left alone."""
        output = open(self.directory / f"{name}.out", "w+")
        arguments = subprocess.check_output(
            ["bash", "-c", f"printf '%s\\n' {arguments}"], env=self.environment, text=True
        ).split("\n") if arguments else []
        process = subprocess.Popen(
            [self.examples / name, *filter(None, arguments)],
            cwd=ROOT, env=self.environment, stdout=output, stderr=subprocess.STDOUT, text=True,
        )
        for _ in range(200):
            text = (self.directory / f"{name}.out").read_text()
            listens = re.search(r"(?m)^listening on [a-z]+://([^/\s]+)", text)
            if listens:
                self.servers.append(process)
                self.environment[name.upper()] = listens[1]
                return text
            if process.poll() is not None:
                if process.returncode:
                    fail(self.page, line, f"{name} failed: {text}")
                return text
            time.sleep(0.05)
        process.kill()
        return fail(self.page, line, f"{name} neither listens nor ends")

    def stop(self):
        for server in self.servers:
            server.send_signal(signal.SIGTERM)
        for server in self.servers:
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def is_printed(expected, printed):
    pattern = "[^\n]*".join(map(re.escape, expected.strip().split("...")))
    return re.search(pattern, printed) is not None


def check_toml(page, line, text):
    for table in ("dependencies", "dev-dependencies"):
        ours = tomllib.loads(text).get(table, {}).get("ws-handshake", {})
        unknown = set(ours.get("features", [])) - set(FEATURES) if isinstance(ours, dict) else set()
        if unknown:
            fail(page, line, f"there is no feature {', '.join(unknown)}")


def check_yaml(page, line, text):
    for document in yaml.safe_load_all(text):
        kubernetes_validate.validate(document, "1.31", strict=True)


def check_ini(page, line, text, directory):
    for path, stand_in in STAND_INS.items():
        text = text.replace(path, stand_in)
    unit = directory / "chat.service"
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    # It also reads the units that are installed on this machine, and speaks of those.
    if any("chat.service" in said for said in done.stderr.splitlines()):
        fail(page, line, done.stderr)


def main():
    examples = Path(sys.argv[1]).absolute()
    ran = 0
    for page in PAGES:
        check_spans(page)
        with tempfile.TemporaryDirectory() as directory:
            reader = Reader(page, Path(directory), examples)
            printed = None
            try:
                for language, text, line in blocks(page):
                    taken = TAKEN.get(str(page.relative_to(ROOT)))
                    if language == "sh" and taken:
                        if page.name not in (ROOT / taken).read_text():
                            fail(page, line, f"{taken} does not read this page")
                    elif language == "sh":
                        printed = reader.run(text, line)
                        ran += 1
                    elif language == "text" and printed is not None:
                        if not is_printed(text, printed):
                            fail(page, line, f"this is not what is printed, but:\n{printed}")
                    elif language == "toml":
                        check_toml(page, line, text)
                    elif language == "yaml":
                        check_yaml(page, line, text)
                    elif language == "ini":
                        check_ini(page, line, text, Path(directory))
                    if language not in ("sh", "text"):
                        printed = None
            finally:
                reader.stop()
    print(f"{len(PAGES)} pages, {ran} blocks of commands run")


main()
