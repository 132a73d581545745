#!/usr/bin/env bash
# Everything that is checked without running the crate.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --check

# Each pair of features is for ci/audit.sh, on the library alone: tests may be all that uses an item.
for features in --no-default-features "--no-default-features --features tower" "" --all-features; do
    echo "clippy ${features:-(default features)}"
    # shellcheck disable=SC2086 # several arguments, or none
    cargo clippy --quiet --locked --all-targets $features -- -D warnings
done

for features in --all-features --no-default-features; do
    echo "doc $features"
    RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps $features
done

# The first line is this crate itself.
tree=$(cargo tree --locked --no-default-features -e normal --depth 1 --prefix none)
dependencies=$(tail -n +2 <<<"$tree" | cut -d ' ' -f 1 | sort | xargs)
echo "without features: $dependencies"
[[ $dependencies == "arc-swap base64 http sha1" ]]

python3 ci/imports.py

# Packages of their own, which nothing above has looked at.
for package in benches/peers fuzz; do
    echo "fmt, clippy $package"
    cargo fmt --check --manifest-path "$package/Cargo.toml"
    cargo clippy --quiet --locked --all-targets --target-dir target --manifest-path "$package/Cargo.toml" -- \
        -D warnings
done

dirty=--allow-dirty
if [[ -n ${CI:-} ]]; then dirty=; fi
cargo package --quiet --locked $dirty
echo "packaged"
