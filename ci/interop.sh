#!/usr/bin/env bash
# Clients that nobody here wrote, against the examples: Node's `ws`, Python's `websockets`, Debian's Chromium.
#
# `EXAMPLES=DIRECTORY ci/interop.sh` takes the examples built there instead of building them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ! -x /usr/bin/chromium ]]; then
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null
fi
npm ci --prefix ci/interop/node --no-fund --no-audit --loglevel=error
venv=target/interop-venv
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r ci/interop/python/requirements.txt

if [[ -z ${EXAMPLES:-} ]]; then
    cargo build --quiet --all-features --examples
    EXAMPLES=${CARGO_TARGET_DIR:-target}/debug/examples
fi

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

# start VARIABLE EXAMPLE ARGUMENT...: starts it, and puts the HOST:PORT that it prints in the variable.
start() {
    local variable=$1 example=$2 address=
    shift 2
    : >"$work/$variable.stdout" # which the background process creates only in its own time
    "$EXAMPLES/$example" "$@" >"$work/$variable.stdout" 2>"$work/$variable.stderr" &
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
    echo "the example $example does not listen" >&2
    return 1
}

export LISTED_ORIGIN=https://app.example.com ORIGINS_FILE=$work/origins.txt ORIGINS_STDERR=$work/ORIGINS.stderr
echo "# The clients rewrite this." >"$ORIGINS_FILE"
any=127.0.0.1:0
start ECHO echo --addr $any --allow-origin "$LISTED_ORIGIN" --subprotocol v2.chat --subprotocol v1.chat
start OTHER echo --addr $any
start ALLOWS_OTHER echo --addr $any --allow-origin "http://$OTHER"
start TCP tcp $any
start HYPER hyper $any
start SAME_URL same_url $any
start ORIGINS origins "$ORIGINS_FILE" $any

# Each suite runs even if one before it failed.
failed=()
suite() {
    local name=$1
    shift
    echo "--- $name"
    "$@" || failed+=("$name")
}
suite "Node's ws" node --test --test-reporter=spec ci/interop/node/ws.mjs
suite "Chromium" node --test --test-reporter=spec ci/interop/node/browser.mjs
suite "Python's websockets" env PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m unittest --verbose ci/interop/python/client.py
for pid in "${pids[@]}"; do
    kill -0 "$pid" 2>/dev/null || failed+=("an example ended early")
done
if ((${#failed[@]} > 0)); then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
