#!/usr/bin/env bash
# Runs Autobahn's cases against each framing library, behind the layer and with its own accept, and against Python's `websockets`,
# through the example `gateway` and without it: docs/results/autobahn.md.
#
# `--write` writes that file instead of comparing it. With `--full`, the cases about permessage-deflate send all of their
# messages. `SERVERS=FILE ci/autobahn.sh` takes the executable of comparisons/benches/framing from there instead of building it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

write=() full=()
for argument in "$@"; do
    case $argument in
    --write) write=(--write) ;;
    --full) full=(--full) ;;
    *)
        echo "usage: ci/autobahn.sh [--write] [--full]" >&2
        exit 2
        ;;
    esac
done

export PYTHONDONTWRITEBYTECODE=1
venv=target/autobahn-venv
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r ci/autobahn/requirements.txt

if [[ -z ${SERVERS:-} ]]; then
    SERVERS=$(
        cargo bench --quiet --locked --no-run -p comparisons --bench framing --message-format=json | python3 -c '
import json, sys
built = (json.loads(line) for line in sys.stdin if line.startswith("{"))
print(*(artifact["executable"] for artifact in built if artifact.get("target", {}).get("kind") == ["bench"]))'
    )
fi

# shellcheck source=ci/suites.sh
source ci/suites.sh
programs

# run ADDRESS NAME ARGUMENT...
run() {
    timeout 30m "$venv/bin/python" ci/autobahn/run.py "$1" "$work/$2.json" "${@:3}" "${full[@]}"
}
both() {
    run "$BEHIND" "$1" "${@:2}" &
    local behind=$!
    run "$OWN" "own-$1" "${@:2}" || return
    wait "$behind"
}

# Runs at most two at once, a library behind the layer and with its own accept, because some cases measure time.
for library in fastwebsockets tokio-websockets tungstenite yawc; do
    deflate=()
    [[ $library == yawc ]] || deflate=(--without-deflate)
    start BEHIND "$SERVERS" --serve "$library"
    start OWN "$SERVERS" --serve "own-$library"
    suite "$library" both "$library" "${deflate[@]}"
done
start WEBSOCKETS "$venv/bin/python" ci/autobahn/echo.py
start GATEWAY gateway --listen 127.0.0.1:0 --upstream "ws://$WEBSOCKETS"
for server in WEBSOCKETS GATEWAY; do
    suite "$server" run "${!server}" "${server,,}"
done
suite "Verdicts" python3 ci/autobahn/report.py "$work" "${write[@]}"
conclude
