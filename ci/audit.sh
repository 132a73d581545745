#!/usr/bin/env bash
# Runs third-party tools on the crate: its dependencies, its features, its public API, and Miri.
#
# `--write` writes ci/public-api.txt instead of comparing it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
tool cargo-deny 0.20.2
tool cargo-hack 0.6.46
tool cargo-public-api 0.52.0
nightly rust-src miri

echo "--- licences, sources, duplicates"
# In a copy of the published package, because other packages of the workspace turn on features of the crate.
package=$(mktemp -d)
trap 'rm -rf "$package"' EXIT
cargo package --quiet --locked --allow-dirty --no-verify -p ws-handshake --target-dir "$package/target"
tar -xzf "$package"/target/package/ws-handshake-*.crate -C "$package" --strip-components 1
cargo deny --manifest-path "$package/Cargo.toml" --locked --all-features check licenses sources
cargo deny --manifest-path "$package/Cargo.toml" --locked --features http2,metrics,testing check bans

# The framing libraries do not depend on each other, so they count as one feature in pairs.
features() {
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
    local libraries=fastwebsockets,tokio-websockets,tungstenite,yawc
    cargo hack clippy --manifest-path "$package/Cargo.toml" --quiet --locked --lib --feature-powerset --depth 2 \
        --group-features "$libraries" --exclude-features default,tower -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo hack doc --manifest-path "$package/Cargo.toml" --quiet --locked --no-deps --each-feature \
        --exclude-all-features --exclude-no-default-features
}

# This compiles one crate again and again, on one core. The other core runs the next steps.
log=$(mktemp)
features >"$log" 2>&1 &
features=$!
trap 'kill "$features" 2>/dev/null || true; rm -rf "$log" "$package"' EXIT

echo "--- the oldest dependencies"
bash ci/minimal.sh

echo "--- the public face"
face=$(CARGO_TERM_QUIET=true cargo +nightly public-api -p ws-handshake --all-features -sss --target-dir target/public-api)
if [[ ${1:-} == --write ]]; then
    printf '%s\n' "$face" >ci/public-api.txt
else
    diff ci/public-api.txt <(printf '%s\n' "$face")
fi
echo "$(wc -l <ci/public-api.txt) items, as in ci/public-api.txt"

echo "--- Miri, over what reads a peer's bytes"
# Runs the tables, and only a few generated cases: the fuzzers generate more.
PROPTEST_CASES=2 MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p ws-handshake --quiet --no-default-features --lib -- handshake:: grammar::

echo "--- each feature, each pair of features, and the documentation of each"
wait "$features" || { cat "$log" >&2; exit 1; }
echo "$(grep -c 'running `cargo' "$log") sets of features"
