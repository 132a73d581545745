#!/usr/bin/env bash
# All checks that do not run the crate.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --all --check

echo "clippy --workspace --all-features"
cargo clippy --quiet --locked --workspace --all-features --all-targets -- -D warnings
# ci/audit.sh checks each pair of features, on the library alone, because an item may be used only by tests.
for features in "" "--no-default-features --features axum" "--no-default-features --features tower" --no-default-features; do
    echo "clippy ${features:-(default features)}"
    # shellcheck disable=SC2086 # several arguments, or none
    cargo clippy --quiet --locked -p ws-handshake --all-targets $features -- -D warnings
done

export RUSTDOCFLAGS="-D warnings"
echo "doc --workspace --all-features"
cargo doc --quiet --locked --workspace --no-deps --all-features
echo "doc --no-default-features"
cargo doc --quiet --locked -p ws-handshake --no-deps --no-default-features

# The first line is this crate itself.
tree=$(cargo tree --locked -p ws-handshake --no-default-features -e normal --depth 1 --prefix none)
dependencies=$(tail -n +2 <<<"$tree" | cut -d ' ' -f 1 | sort | xargs)
echo "without features: $dependencies"
[[ $dependencies == "arc-swap base64 http sha1" ]]

# `cargo run --example echo` compiles these, and a few more for the features of the crate's own tests.
crates=$(cargo tree --locked -p ws-handshake-examples -e normal,build,dev --prefix none --no-dedupe |
    cut -d ' ' -f 1,2 | sort -u | wc -l)
echo "small examples: $crates crates"
((crates <= 115))

python3 ci/imports.py

dirty=--allow-dirty
if [[ -n ${CI:-} ]]; then dirty=; fi
cargo package --quiet --locked -p ws-handshake $dirty
packaged=$(cargo package --list --locked -p ws-handshake $dirty)
if grep -E '^(ci|comparisons|examples|fuzz)/' <<<"$packaged"; then
    echo "the package carries files of the workspace" >&2
    exit 1
fi
echo "packaged, $(wc -l <<<"$packaged") files"
