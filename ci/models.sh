#!/usr/bin/env bash
# The models of concurrent code, in every order that loom finds with three preemptions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

RUSTFLAGS="--cfg ws_loom" LOOM_MAX_PREEMPTIONS=3 cargo test --locked --lib -p ws-handshake --no-default-features --features tower \
    --target-dir target/models -- models::
