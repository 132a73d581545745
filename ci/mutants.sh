#!/usr/bin/env bash
# Mutation testing: cargo-mutants changes the code in one place at a time, and at least one test has to fail.
# .cargo/mutants.toml lists the changes that no test can notice.
#
#   ci/mutants.sh        today's shard, another one each day: about 8 minutes on two cores
#   ci/mutants.sh 3/32   that shard
#   ci/mutants.sh all    every mutant: about 3 hours
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
tool cargo-mutants 27.1.0

shards=32
case ${1:-today} in
    all) shard=() ;;
    today) shard=(--sharding round-robin --shard "$(($(date +%s) / 86400 % shards))/$shards") ;;
    *) shard=(--sharding round-robin --shard "$1") ;;
esac

# A mutant is one small change, so incremental builds help. Only a few cases are generated, because a table should notice the mutant.
export CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=none CARGO_PROFILE_TEST_DEBUG=none PROPTEST_CASES=32

status=0
cargo mutants -p ws-handshake "${shard[@]}" --jobs 2 --output target --colors never || status=$?
# 3 means that a test timed out and that no mutant survived: an endless loop counts as noticed.
((status == 0 || status == 3))
