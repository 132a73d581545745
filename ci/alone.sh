#!/usr/bin/env bash
# Copies the crate into the directory named, without the other packages of the workspace and without dependencies for tests: what
# its users get. Features that other packages turn on do not count there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cp -r Cargo.toml Cargo.lock deny.toml src "$1"
python3 - "$1/Cargo.toml" <<'END'
import re
import sys

manifest = open(sys.argv[1]).read()
manifest = re.sub(r"(?ms)^\[workspace\]\n.*?(?=^\[workspace\.package\])", "[workspace]\n", manifest)
# Targets come behind the dependencies for tests, and have them.
manifest = re.sub(r"(?ms)^\[dev-dependencies\].*", "", manifest)
open(sys.argv[1], "w").write(manifest)
END
