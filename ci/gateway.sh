#!/usr/bin/env bash
# The example `gateway` beside nginx and HAProxy: how fast each is in front of the same upstream. It takes two minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/sbin

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages nginx=nginx-light haproxy=haproxy

cargo build --quiet --locked --release --features client,metrics --example gateway
GATEWAY=$(realpath "${CARGO_TARGET_DIR:-target}/release/examples/gateway")
export GATEWAY
cargo bench --quiet --locked --features client,metrics --bench gateway
