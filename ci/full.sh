#!/usr/bin/env bash
# What `.ci/run` leaves out, because it takes long, depends on chance, or depends on tools that change. All steps run, even if
# one fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

# shellcheck source=ci/steps.sh
source ci/steps.sh

step bash ci/audit.sh
step bash ci/models.sh
step bash ci/mutants.sh
step bash ci/clients.sh
step bash ci/applications.sh
step bash ci/book.sh
step bash ci/http3.sh
step bash ci/cluster.sh
step bash ci/fuzz.sh
step bash ci/autobahn.sh
step bash ci/bench.sh

status=0
conclude || status=1
cat <<'TEXT'

Not run here, but by .ci/run: the tests, clippy, the documentation, interoperability, the guide, proxies, and the replay of
the fuzz corpora.
Not run by either, because they measure time on an idle machine: `cargo bench -p ws-handshake --features testing --bench
handshake`, `cargo bench -p comparisons`, `cargo run --release -p comparisons`, and `ci/gateway.sh`.
TEXT
exit "$status"
