#!/usr/bin/env bash
# Counts instructions, allocations and bytes, which do not depend on how busy the machine is. Opens, drains and floods thousands of
# connections. Fails if a counted figure is worse than its bar by more than 2 %, or if memory or files are not free at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages valgrind=valgrind
bench() {
    cargo bench --quiet --locked -p ws-handshake --all-features --bench "$@"
}
bench decision
bench reads
bench allocations
bench connections -- --seconds 10
bench floods
cargo run --quiet --locked --release -p comparisons -- --counts
