#!/usr/bin/env bash
# Counts instructions and allocations, which do not depend on how busy the machine is, and churns and drains connections
# by the thousand; fails where a bar is missed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages valgrind=valgrind
cargo bench --quiet --locked --no-default-features --bench decision
cargo bench --quiet --locked --bench allocations
cargo bench --quiet --locked --bench connections
cargo run --quiet --locked --release --manifest-path benches/peers/Cargo.toml -- --counts
