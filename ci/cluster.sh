#!/usr/bin/env bash
# A rolling restart with 2,000 clients: restarts three nodes of the example `cluster` one after the other, behind Debian's HAProxy
# and with its Redis, with the commands of docs/guide/cluster.md. Then a third node joins two others.
#
# `--write` writes docs/results/cluster.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/sbin

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages redis-server=redis-server haproxy=haproxy

# Uses `cargo test` of the whole workspace, so that nothing is built twice: `cargo bench` would build everything for release.
cargo test --quiet --locked --workspace --all-features --bench cluster -- "$@"
