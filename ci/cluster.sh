#!/usr/bin/env bash
# A rolling restart: three nodes of the example `cluster` behind Debian's HAProxy, with its Redis, are restarted one after
# the other under 2,000 clients, with the commands of docs/guide/cluster.md. Then a third node joins two others.
#
# `--write` writes docs/results/cluster.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/sbin

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages redis-server=redis-server haproxy=haproxy

# By `cargo test` of the whole workspace, so that nothing is built twice: `cargo bench` would build it all for release.
cargo test --quiet --locked --workspace --all-features --bench cluster -- "$@"
