#!/usr/bin/env bash
# Runs each target of fuzz/ on nightly, three at a time. New inputs go into a temporary directory, and failing inputs stay in
# fuzz/artifacts. `cargo test -p ws-handshake-fuzz` replays the corpora.
#
#   ci/fuzz.sh        half a minute each
#   ci/fuzz.sh 1200   that many seconds each
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-30}

# shellcheck source=ci/packages.sh
source ci/packages.sh
nightly
tool cargo-fuzz 0.13.2

# No sanitizer, because there is no unsafe code here. Little optimization, because building would take longer than the run.
options=(--sanitizer none --codegen-units 16)
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_TERM_QUIET=true
cargo +nightly fuzz build "${options[@]}"

work=$(mktemp -d)
pids=()
stop() {
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap stop EXIT

# fuzz TARGET: its log is in $work/TARGET.log.
fuzz() {
    local dictionary=fuzz/$1.dict
    [[ -e $dictionary ]] || dictionary=fuzz/http.dict
    mkdir "$work/$1"
    exec cargo +nightly fuzz run "${options[@]}" "$1" "$work/$1" "fuzz/corpus/$1" -- \
        -max_total_time="$seconds" -timeout=10 -dict="$dictionary" >"$work/$1.log" 2>&1
}

# conclude TARGET PID: waits for the target, and prints its number of executions and its coverage.
failed=()
conclude() {
    if wait "$2" && closing=$(grep -aE '^#[0-9]+\s+DONE' "$work/$1.log"); then
        echo "$1: $closing"
    else
        failed+=("$1")
        tail -n 60 "$work/$1.log" >&2
    fi
}

mapfile -t targets < <(cargo +nightly fuzz list)
for ((i = 0; i < ${#targets[@]}; i += 3)); do
    pids=()
    for target in "${targets[@]:i:3}"; do
        fuzz "$target" &
        pids+=($!)
    done
    for j in "${!pids[@]}"; do
        conclude "${targets[i + j]}" "${pids[j]}"
    done
done
pids=()
((${#targets[@]} > 0 && ${#failed[@]} == 0)) || { printf 'failed: %s\n' "${failed[@]:-no targets}" >&2; exit 1; }
