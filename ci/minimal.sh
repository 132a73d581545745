#!/usr/bin/env bash
# Builds the crate with the oldest versions that Cargo.toml allows, of every dependency except those that only tests need.
#
# yawc is left out, because it needs a newer hyper than this crate does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r Cargo.toml src "$copy"
python3 - "$copy/Cargo.toml" <<'END'
import re
import sys

manifest = open(sys.argv[1]).read()
# Without the other packages of the workspace, dependencies for tests, and the targets that have them.
manifest = re.sub(r"(?ms)^\[workspace\]\n.*?(?=^\[workspace\.package\])", "[workspace]\n", manifest)
manifest = re.sub(r"(?ms)^\[dev-dependencies\].*", "", manifest)
manifest = re.sub(r"(?m)^yawc = .*\n", "", manifest)
open(sys.argv[1], "w").write(manifest)
END
target=$PWD/target/minimal
cd "$copy"
cargo +nightly update --quiet -Z direct-minimal-versions
RUSTFLAGS="-A unexpected_cfgs" cargo check --quiet --lib --all-features --target-dir "$target"
echo "builds by $(cargo tree --all-features --depth 1 --prefix none | tail -n +2 | cut -d ' ' -f 1,2 | xargs)"
