#!/usr/bin/env bash
# The oldest versions that Cargo.toml admits, of every dependency but what only the tests need: the crate still builds.
#
# yawc is left out, which wants a newer hyper than this crate does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
bash ci/alone.sh "$copy"
sed -i '/^yawc = /d' "$copy/Cargo.toml"
target=$PWD/target/minimal
cd "$copy"
cargo +nightly update --quiet -Z direct-minimal-versions
RUSTFLAGS="-A unexpected_cfgs" cargo check --quiet --lib --all-features --target-dir "$target"
echo "builds by $(cargo tree --all-features --depth 1 --prefix none | tail -n +2 | cut -d ' ' -f 1,2 | xargs)"
