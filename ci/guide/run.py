"""Runs what README and the guide tell a reader to run, and holds what they say comes out against what does.

Run as `run.py PROGRAMS`, the directory of the built programs, as in `target/debug`. In each page the blocks are run from top
to bottom:

- `sh`: by bash. `cargo run --example NAME` and `cargo run -p NAME` are the built programs; a program that serves goes on until
  the end of the page, and `$NAME` is its address. A command that takes a machine for itself, or is a step of `.ci/run`, has to
  stand in the script named by `ELSEWHERE`.
- `text` behind it: what that has printed; `...` stands for anything within a line.
- `toml`, `yaml`, `ini`: read as Cargo, Kubernetes and systemd read them.

Commands of cargo that stand in the text are held against the packages of the workspace, their targets, and the features that
those need.
"""

import json
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
METADATA = json.loads(subprocess.check_output(["cargo", "metadata", "--no-deps", "--format-version=1"], cwd=ROOT))
PACKAGES = {package["name"]: package for package in METADATA["packages"]}
# Where cargo looks without `-p` and `--workspace`.
DEFAULT = [package for package in METADATA["packages"] if package["id"] in METADATA["workspace_default_members"]]
FEATURES = PACKAGES["ws-handshake"]["features"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/guide").glob("*.md"))]
# Commands that are run by somebody else: the beginning of the command, and the script that has to run it.
ELSEWHERE = {"cargo test --workspace --all-features": ".ci/run"}
# Pages whose commands are read, and run, by somebody else.
TAKEN = {"docs/guide/cluster.md": "examples/cluster/benches/cluster/programs.rs"}
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


def enabled(package, names):
    """Those features of a package, and all that they bring."""
    found = set()
    while names:
        name = names.pop()
        if name in package["features"] and name not in found:
            found.add(name)
            names.update(package["features"][name])
    return found


def option(own, *flags):
    """The value of an option of cargo's."""
    return next((own[own.index(flag) + 1] for flag in flags if flag in own), None)


def cargo(command):
    """The verb, the kind and the name of the target, and the arguments, if this is cargo's and names a target or a package."""
    own, _, rest = command.partition(" -- ")
    own = shlex.split(own)
    kind = next((kind for kind in ("bench", "bin", "example", "test") if f"--{kind}" in own), None)
    named = option(own, "-p", "--package")
    if own[:1] != ["cargo"] or not (kind or named):
        return None
    if named and named not in PACKAGES:
        raise ValueError(f"`{command}`: there is no package {named}")
    packages = [PACKAGES[named]] if named else METADATA["packages"] if "--workspace" in own else DEFAULT
    if own[1] == "run" and not kind:
        kind, name = "bin", packages[0]["default_run"] or named
    else:
        name = option(own, f"--{kind}")
    if kind is None:
        return None
    found = [
        (package, set(target.get("required-features", [])))
        for package in packages
        for target in package["targets"]
        if target["name"] == name and kind in target["kind"]
    ]
    if not found:
        raise ValueError(f"`{command}`: there is no {kind} {name}")
    package, needed = found[0]
    features = set() if "--no-default-features" in own else {"default"}
    features |= set((option(own, "--features") or "").split(",")) - {""}
    unknown = features - {"default"} - set(package["features"])
    if unknown:
        raise ValueError(f"`{command}`: {package['name']} has no feature {', '.join(sorted(unknown))}")
    if "--all-features" in own:
        features |= set(package["features"])
    missing = needed - enabled(package, features)
    if missing:
        raise ValueError(f"`{command}` also needs {', '.join(sorted(missing))}")
    return own[1], kind, name, rest


def program(command, programs):
    """The path, the name and the arguments of what `cargo run` runs, if that is what it is."""
    found = cargo(command)
    if not found or found[0] != "run":
        return None
    _, kind, name, rest = found
    return programs / "examples" / name if kind == "example" else programs / name, name, rest


def check_spans(page):
    """What stands in a line of text, as in a table, is to be what one can run too."""
    text = page.read_text()
    for found in re.finditer(r"`(cargo\s(?:bench|build|run|test)\s[^`]+)`", text):
        try:
            cargo(" ".join(found[1].split()))
        except ValueError as problem:
            fail(page, text.count("\n", 0, found.start()) + 1, problem)


class Reader:
    """Does what a page says."""

    def __init__(self, page, directory, programs):
        self.page, self.directory, self.programs = page, directory, programs
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
                found = program(command, self.programs)
                # Within another command, as behind `timeout`.
                inner = re.search(r"cargo run (?:--example|-p) [a-z_]+(?: --)?", command)
                if not found and inner:
                    path, *_ = program(inner[0].removesuffix(" --"), self.programs)
                    command = command.replace(inner[0], str(path))
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

    def start(self, line, path, name, arguments):
        """Runs a program until it has ended, or listens; then it is left alone."""
        output = open(self.directory / f"{name}.out", "w+")
        arguments = subprocess.check_output(
            ["bash", "-c", f"printf '%s\\n' {arguments}"], env=self.environment, text=True
        ).split("\n") if arguments else []
        process = subprocess.Popen(
            [path, *filter(None, arguments)],
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
    programs = Path(sys.argv[1]).absolute()
    ran = 0
    for page in PAGES:
        check_spans(page)
        with tempfile.TemporaryDirectory() as directory:
            reader = Reader(page, Path(directory), programs)
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
