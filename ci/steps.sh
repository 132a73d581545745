# shellcheck shell=bash
# Sourced by `.ci/run` and `ci/full.sh`: runs and times all steps, and prints a table at the end.

# Incremental builds do not help here: no crate is compiled twice in a row.
export CARGO_INCREMENTAL=0

steps=()
failed=0

# step COMMAND...: runs the command, and records its time and whether it passed.
step() {
    local began=$SECONDS verdict=passed
    printf '\n=== %s\n' "$*"
    "$@" || verdict=FAILED
    [[ $verdict == passed ]] || failed=$((failed + 1))
    steps+=("$(printf '%-68s %6d  %s' "$*" $((SECONDS - began)) "$verdict")")
}

# conclude: prints the table, and fails if a step has failed.
conclude() {
    printf '\n%-68s %6s  %s\n' step seconds verdict
    printf '%s\n' "${steps[@]}"
    printf '%-68s %6d  %s\n' all "$SECONDS" "$((${#steps[@]} - failed)) of ${#steps[@]} passed"
    ((failed == 0))
}
