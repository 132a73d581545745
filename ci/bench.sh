#!/usr/bin/env bash
# Counts instructions and allocations, which do not depend on how busy the machine is, churns, drains and floods
# connections by the thousand; fails where a bar is missed, or anything is not back in the end.
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
