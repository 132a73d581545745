# shellcheck shell=bash
# To be sourced by scripts that start servers and run suites of tests against them.

examples() {
    if [[ -z ${EXAMPLES:-} ]]; then
        cargo build --quiet --all-features --examples
        EXAMPLES=${CARGO_TARGET_DIR:-target}/debug/examples
    fi
}

work=$(mktemp -d)
pids=()
stop() {
    local status=$?
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait
    if ((status != 0)); then tail -n 20 "$work"/*.stderr >&2; fi
    rm -rf "$work"
}
trap stop EXIT

# start VARIABLE PROGRAM ARGUMENT...: starts an example, or a program given by its path, and puts the HOST:PORT that it
# prints in the variable.
start() {
    local variable=$1 program=$2 address=
    [[ $program == */* ]] || program=$EXAMPLES/$program
    shift 2
    : >"$work/$variable.stdout" # which the background process creates only in its own time
    "$program" "$@" >"$work/$variable.stdout" 2>"$work/$variable.stderr" &
    local pid=$!
    pids+=("$pid")
    for ((i = 0; i < 100; i++)); do
        address=$(sed -nE 's|^listening on [a-z]+://([^/]+).*|\1|p' "$work/$variable.stdout")
        if [[ -n $address ]]; then
            export "$variable=$address"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "$program does not listen" >&2
    return 1
}

# suite NAME COMMAND...: each suite runs even if one before it failed.
failed=()
suite() {
    local name=$1
    shift
    echo "--- $name"
    "$@" || failed+=("$name")
}

# Fails if a suite has failed, or a server did not last until its end.
conclude() {
    for pid in "${pids[@]}"; do
        kill -0 "$pid" 2>/dev/null || failed+=("a server ended early")
    done
    ((${#failed[@]} == 0)) || { printf 'failed: %s\n' "${failed[@]}" >&2; return 1; }
}
