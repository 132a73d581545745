#!/usr/bin/env bash
# Runs third-party clients against the examples: Node's `ws`, Python's `websockets`, Debian's Chromium, and over HTTP/2 Chromium
# and Node's own client. Also runs the examples `client` and `doctor` against servers of Node's `ws` and Python's `websockets`.
#
# `PROGRAMS=DIRECTORY ci/interop.sh` uses the programs in that directory, such as `target/debug`, instead of building them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages chromium=chromium
npm ci --prefix ci/interop/node --no-fund --no-audit --loglevel=error
venv=target/interop-venv
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r ci/interop/python/requirements.txt

# shellcheck source=ci/suites.sh
source ci/suites.sh
programs

export LISTED_ORIGIN=https://app.example.com ORIGINS_FILE=$work/origins.txt ORIGINS_STDERR=$work/ORIGINS.stderr
echo "# The clients rewrite this." >"$ORIGINS_FILE"
any=127.0.0.1:0
start ECHO echo --addr $any --allow-origin "$LISTED_ORIGIN" --subprotocol v2.chat --subprotocol v1.chat
start OTHER echo --addr $any
start ALLOWS_OTHER echo --addr $any --allow-origin "http://$OTHER"
start TCP tcp $any
start HYPER hyper $any
start SAME_URL same_url $any
start FRAMING framing $any
start CHAT chat $any
start CLUSTER cluster --addr $any
start TOKEN token $any
start HIJACK hijack
start GUARDED guarded $any
start UNGUARDED guarded $any --unguarded
start ORIGINS origins "$ORIGINS_FILE" $any
start TLS tls --addr $any --allow-origin "$LISTED_ORIGIN"
start TLS_CHAT tls --addr $any --subprotocol v1.chat
start TLS_ALLOWS_OTHER tls --addr $any --allow-origin "https://$TLS" --allow-origin "http://$OTHER"
export TLS_STDOUT=$work/TLS.stdout TLS_CHAT_STDOUT=$work/TLS_CHAT.stdout TLS_CHAT_STDERR=$work/TLS_CHAT.stderr
export HIJACK_STDOUT=$work/HIJACK.stdout
export TLS_ALLOWS_OTHER_STDOUT=$work/TLS_ALLOWS_OTHER.stdout

CLIENT=$(program client) COMPRESSING_CLIENT=$(program compressing_client) DOCTOR=$(program doctor)
export CLIENT COMPRESSING_CLIENT DOCTOR

suite "Node's ws" node --test --test-reporter=spec ci/interop/node/ws.mjs
suite "Node's http2" node --test --test-reporter=spec ci/interop/node/http2.mjs
suite "Chromium" node --test --test-reporter=spec ci/interop/node/browser.mjs
suite "Python's websockets" env PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m unittest --verbose ci/interop/python/client.py
suite "Node's ws as the server" node --test --test-reporter=spec ci/interop/node/client.mjs
suite "Python's websockets as the server" env PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" ci/interop/python/server.py --verbose
suite "The doctor" node --test --test-reporter=spec ci/interop/node/doctor.mjs
suite "The doctor, with Python's websockets" env PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" ci/interop/python/doctor.py --verbose
conclude
