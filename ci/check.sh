#!/usr/bin/env bash
# Everything that is checked without running the crate.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --check

for features in \
    --no-default-features \
    "--no-default-features --features tower" \
    "--no-default-features --features axum" \
    "--no-default-features --features tracing" \
    "--no-default-features --features tower,tracing" \
    "--no-default-features --features http2" \
    "--no-default-features --features metrics" \
    "--no-default-features --features client" \
    "--no-default-features --features testing" \
    "--no-default-features --features testing,http2" \
    "" \
    --all-features; do
    echo "clippy ${features:-(default features)}"
    # shellcheck disable=SC2086 # several arguments, or none
    cargo clippy --quiet --locked --all-targets $features -- -D warnings
done
# Without the tests, which may be all that uses an item.
for features in "" tungstenite fastwebsockets tokio-websockets yawc client,tungstenite client,tokio-websockets client,http2; do
    echo "clippy --lib --no-default-features --features \"$features\""
    cargo clippy --quiet --locked --lib --no-default-features --features "$features" -- -D warnings
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
    cargo clippy --quiet --locked --all-targets --manifest-path "$package/Cargo.toml" -- -D warnings
done

dirty=--allow-dirty
if [[ -n ${CI:-} ]]; then dirty=; fi
cargo package --quiet --locked $dirty
echo "packaged"
