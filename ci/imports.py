"""Fails on a circle of imports between the files of `src`, and on an import from a higher level.

Run as `python3 ci/imports.py [SRC]`. A `mod.rs` and `lib.rs` only declare and re-export: an import through one
depends on the file that owns the name. Files of the same directory import from that file directly. Tests and models are exempt.
"""

import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

# From low to high. Modules of one row may import each other, as long as there is no circle.
LEVELS = [
    # The first four do not know about handshakes.
    {"sync"},
    {"connections"},
    {"observe"},
    {"grammar"},
    {"handshake"},
    {"policy"},
    {"middleware"},
    {"extract", "framing", "client"},
    {"testing", "guide"},
]

NO_CODE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | \b[bc]?r(\#*)".*?"\1 | "(?:\\.|[^"\\])*" | '(?:\\[^']*.|[^'\\])'""", re.S | re.X
)
TOKEN = re.compile(r"\w+|::|\n|[^\s\w]")
CLOSING = {"(": ")", "[": "]", "{": "}"}


class File:
    """One source file: the paths that it names, its re-exports, and its other contents."""

    def __init__(self, path, module):
        self.path, self.module = path, module
        self.is_mod = path.name in ("mod.rs", "lib.rs")
        self.paths = []  # (line, path from the crate's root)
        self.exports = {}  # name: path from the crate's root
        self.children = set()  # modules declared here, from the crate's root
        self.more_than_mod = None  # the first line with anything but `mod` and `use`
        code = NO_CODE.sub(lambda found: " " + "\n" * found[0].count("\n"), path.read_text())
        self.tokens, self.lines, line = [], [], 1
        for token in TOKEN.findall(code):
            if token == "\n":
                line += 1
            else:
                self.tokens.append(token)
                self.lines.append(line)
        self.read()

    def at(self, i):
        return self.tokens[i] if i < len(self.tokens) else ""

    def skip_group(self, i):
        """The index behind the group that opens at `i`."""
        opening, depth = self.at(i), 0
        while i < len(self.tokens):
            depth += (self.at(i) == opening) - (self.at(i) == CLOSING[opening])
            i += 1
            if depth == 0:
                break
        return i

    def skip_item(self, i):
        """The index behind the item that starts at `i`."""
        while self.at(i) == "#":
            i = self.skip_group(i + 1)
        if self.at(i) == "pub":
            i = self.skip_group(i + 1) if self.at(i + 1) == "(" else i + 1
        is_use = self.at(i) == "use"
        while i < len(self.tokens) and self.at(i) != ";":
            if self.at(i) in CLOSING:
                ends = self.at(i) == "{" and not is_use
                i = self.skip_group(i)
                if ends:
                    return i
            else:
                i += 1
        return i + 1

    def read(self):
        i, inline, depth = 0, [], 0  # `inline`: the surrounding inline modules, each with the depth of its braces
        while i < len(self.tokens):
            token, here = self.at(i), self.module + tuple(name for name, _ in inline)
            if token == "#":
                end = self.skip_group(i + 1 + (self.at(i + 1) == "!"))
                attribute = "".join(self.tokens[i:end])
                i = self.skip_item(end) if re.match(r"#\[cfg\((all\()?test\b", attribute) else end
            elif token == "pub":
                i = self.skip_group(i + 1) if self.at(i + 1) == "(" else i + 1
            elif token == "mod" and self.at(i + 2) in (";", "{"):
                name = self.at(i + 1)
                self.children.add(here + (name,))
                if self.at(i + 2) == "{":
                    depth += 1
                    inline.append((name, depth))
                i += 3
            elif token == "use" and self.at(i + 1) != "<":
                line, (i, leaves) = self.lines[i], self.tree(i + 1, ())
                for path, name in leaves:
                    if absolute := self.absolute(path, here):
                        self.paths.append((line, absolute))
                        self.exports[name] = absolute
            elif re.match(r"[a-z_]", token) and self.at(i + 1) == "::" and self.at(i - 1) != "::":
                line, path = self.lines[i], [token]
                while self.at(i + 1) == "::" and re.match(r"\w", self.at(i + 2)):
                    path.append(self.at(i + 2))
                    i += 2
                if absolute := self.absolute(tuple(path), here):
                    self.paths.append((line, absolute))
                i += 1
            else:
                depth += (token == "{") - (token == "}")
                if inline and depth < inline[-1][1]:
                    inline.pop()
                elif token != ";":
                    self.more_than_mod = self.more_than_mod or self.lines[i]
                i += 1

    def tree(self, i, prefix):
        """Reads the tree of a `use` that starts at `i`: the index behind it, and its leaves as (path, name)."""
        path = prefix
        while self.at(i) not in (",", ";", "}", ""):
            if self.at(i) == "{":
                i, leaves = i + 1, []
                while self.at(i) not in ("}", ""):
                    i, more = self.tree(i, path)
                    leaves += more
                    i += self.at(i) == ","
                return i + 1, leaves
            if self.at(i) == "as":
                return i + 2, [(path, self.at(i + 1))]
            if self.at(i) != "::" and not (self.at(i) == "self" and path):
                path += (self.at(i),)
            i += 1
        return i, [(path, path[-1])] if path else []

    def absolute(self, path, here):
        """From the crate's root; nothing for a path into another crate."""
        first, *rest = path
        if first == "crate":
            return tuple(rest)
        if here + (first,) in self.children:
            return here + path
        if first not in ("self", "super"):
            return None
        here = here[:-1] if first == "super" else here
        while rest and rest[0] == "super":
            here, rest = here[:-1], rest[1:]
        return here + tuple(rest)


def owners(files, path, through=()):
    """The files that own what `path` names, each with the `mod.rs` or `lib.rs` files that it was found through."""
    end = next(end for end in range(len(path), -1, -1) if path[:end] in files)
    file, rest = files[path[:end]], path[end:]
    if not file.is_mod or file in through:
        return [(file, through)]
    through += (file,)
    if not rest:
        # The module itself was imported. The names used from it are unknown, so all of it counts.
        rest = ("*",)
    if rest[0] == "*":
        exports = file.exports.values()
        return [owner for export in exports for owner in owners(files, export, through)] or [(file, through)]
    if rest[0] in file.exports:
        return owners(files, file.exports[rest[0]] + rest[1:], through)
    return [(file, through)]


def level(file):
    top = file.module[0] if file.module else None
    return next((number for number, names in enumerate(LEVELS) if top in names), None)


def find_circle(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1][::-1]


def check(src):
    files = {}
    for path in sorted(src.rglob("*.rs")):
        module = path.relative_to(src).with_suffix("").parts
        if "tests" in module or "models" in module:
            continue
        module = module[:-1] if module[-1] in ("mod", "lib") else module
        files[module] = File(path, module)

    faults, graph = [], {}
    for file in files.values():
        if file.is_mod:
            if file.more_than_mod:
                faults.append(f"{file.path}:{file.more_than_mod}: more than `mod` and `use`")
            continue
        if level(file) is None:
            faults.append(f"{file.path}: is on no level: give it one in ci/imports.py")
            continue
        imported = graph.setdefault(file.path, set())
        for line, path in file.paths:
            where = f"{file.path}:{line}: `crate::{'::'.join(path)}`"
            for owner, through in owners(files, path):
                if owner is file:
                    continue
                if level(owner) is None or level(owner) > level(file):
                    faults.append(f"{where} goes up to {owner.path}")
                elif owner.module[:1] == file.module[:1] and through:
                    faults.append(f"{where} goes through {through[-1].path}: import from {owner.path}")
                imported.add(owner.path)
    imports = sum(map(len, graph.values()))
    while circle := find_circle(graph):
        faults.append("circle: " + " imports ".join(map(str, circle)))
        # Break this circle, to find the next one.
        graph[circle[0]].remove(circle[1])
    if not imports:
        faults.append(f"no imports found in {src}")
    print(*sorted(set(faults)), sep="\n", end="\n" if faults else "")
    print(f"{len(graph)} files, {imports} imports between them, {len(set(faults))} faults")
    return not faults


if __name__ == "__main__":
    src = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "src"
    sys.exit(0 if check(src) else 1)
