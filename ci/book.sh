#!/usr/bin/env bash
# Builds the guide as an mdBook and as a module of the crate's documentation, and checks every link within it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages chromium=chromium
[[ -d ci/interop/node/node_modules ]] || npm ci --prefix ci/interop/node --no-fund --no-audit --loglevel=error
tool mdbook 0.5.4

rm -rf target/book
mdbook build docs
python3 ci/book/links.py target/book

RUSTDOCFLAGS="-D warnings --html-in-header $PWD/docs/rustdoc.html" \
    cargo doc --quiet --locked -p ws-handshake --no-deps --all-features --target-dir target/book-rustdoc
node ci/book/rustdoc.mjs target/book-rustdoc/doc
