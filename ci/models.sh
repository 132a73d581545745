#!/usr/bin/env bash
# Checks the models of concurrent code, in every order that loom finds with three preemptions. loom treats `SeqCst` as acquire and release,
# so Miri runs the close of a registry too, with many seeds (SEEDS, 32 by default).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
nightly rust-src miri

echo "--- loom: half a minute"
# One at a time, because each prints its number of interleavings.
NO_COLOR=1 LOOM_LOG=loom::model=info LOOM_MAX_PREEMPTIONS=3 RUSTFLAGS="--cfg ws_loom" cargo test --locked --lib -p ws-handshake \
    --no-default-features --features tower --target-dir target/models -- --nocapture --test-threads=1 models::

echo "--- Miri: some minutes, most of them to compile"
seeds=${SEEDS:-32}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The output of several seeds is mixed, so print it only if a seed fails.
MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-many-seeds=0..$seeds" cargo +nightly miri test --locked --lib -p ws-handshake \
    --no-default-features --features tower -- a_wait_that_is_over >"$log" 2>&1 || { cat "$log"; exit 1; }
grep -q '^running 1 test' "$log" || { echo "Miri has run no test" >&2; exit 1; }
echo "a_wait_that_is_over_has_seen_every_connection: passed with each of $seeds seeds"
