#!/usr/bin/env bash
# The models of concurrent code, in every order that loom finds with three preemptions; and the close of a registry under Miri, with
# many seeds, because loom takes `SeqCst` for acquire and release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
nightly rust-src miri

echo "--- loom"
RUSTFLAGS="--cfg ws_loom" LOOM_MAX_PREEMPTIONS=3 cargo test --locked --lib -p ws-handshake --no-default-features --features tower \
    --target-dir target/models -- models::

echo "--- Miri"
MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-many-seeds=0..${SEEDS:-16}" cargo +nightly miri test --quiet --locked --lib \
    -p ws-handshake --no-default-features --features tower -- nobody_is_let_in_once_the_wait_is_over
