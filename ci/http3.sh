#!/usr/bin/env bash
# Tests the example `http3` over HTTP/3, with aioquic and Debian's Chromium.
#
# `--write` also compares the example with HTTP/2 on a link that loses packets, and writes docs/results/http3.md. This needs the
# rights to make network namespaces.
#
# `PROGRAMS=DIRECTORY ci/http3.sh` uses the programs in that directory, such as `target/debug`, instead of building them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages chromium=chromium
[[ -d ci/interop/node/node_modules ]] || npm ci --prefix ci/interop/node --no-fund --no-audit --loglevel=error
venv=target/http3-venv
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r ci/http3/requirements.txt

# shellcheck source=ci/suites.sh
source ci/suites.sh
programs
start HTTP3 http3 --addr 127.0.0.1:0 --subprotocol v2.chat --subprotocol v1.chat
export HTTP3_STDOUT=$work/HTTP3.stdout PYTHONDONTWRITEBYTECODE=1
suite "aioquic" env IN_PROCESS="$(program http3)" "$venv/bin/python" ci/http3/suite.py --verbose
if [[ ${1:-} == --write ]]; then
    suite "a link that loses packets" "$venv/bin/python" ci/http3/measure.py "$(program http3)" --write
fi
suite "Chromium" node --test --test-reporter=spec ci/http3/browser.mjs
conclude
