# shellcheck shell=bash
# Sourced by scripts that start servers and run test suites against them.

# programs: builds the examples and the programs of the other packages, unless $PROGRAMS is the directory of built ones. Uses
# the same features as `cargo test --workspace --all-features`.
programs() {
    if [[ -z ${PROGRAMS:-} ]]; then
        cargo build --quiet --locked --workspace --all-features --bins --examples
        PROGRAMS=${CARGO_TARGET_DIR:-target}/debug
    fi
}

# program NAME: the path of a package's program, or of an example.
program() {
    if [[ -x $PROGRAMS/$1 ]]; then echo "$PROGRAMS/$1"; else echo "$PROGRAMS/examples/$1"; fi
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

# start VARIABLE PROGRAM ARGUMENT...: starts a program, given by name or path, and puts the HOST:PORT that the program prints
# into the variable.
start() {
    local variable=$1 program=$2 address=
    [[ $program == */* ]] || program=$(program "$program")
    shift 2
    : >"$work/$variable.stdout" # because the background process creates it later
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

# Fails if a suite has failed, or if a server ended before its suite.
conclude() {
    for pid in "${pids[@]}"; do
        kill -0 "$pid" 2>/dev/null || failed+=("a server ended early")
    done
    ((${#failed[@]} == 0)) || { printf 'failed: %s\n' "${failed[@]}" >&2; return 1; }
}
