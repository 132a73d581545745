#!/usr/bin/env bash
# Clients that nobody here wrote, in seven languages, against the example `echo`: each opens a socket, echoes 1 MiB and closes, and
# is refused with a foreign origin. `--write` writes docs/results/clients.md.
#
# `PROGRAMS=DIRECTORY ci/clients.sh` takes the programs built there, as in `target/debug`, instead of building them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages go=golang-go javac=default-jdk-headless mojo=libmojolicious-perl ruby=ruby qmake=qtbase5-dev pkg-config=pkg-config g++=g++
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends gir1.2-soup-3.0 \
    golang-github-gorilla-websocket-dev golang-nhooyr-websocket-dev libokhttp-java libqt5websockets5-dev python3-gi \
    ruby-faye-websocket >/dev/null

built=$PWD/target/clients
mkdir -p "$built"
python3 -m venv "$built/venv"
"$built/venv/bin/pip" install --quiet --disable-pip-version-check -r ci/clients/python/requirements.txt
cp ci/clients/node/* "$built"
npm ci --prefix "$built" --no-fund --no-audit --loglevel=error
javac -cp /usr/share/java/okhttp.jar:/usr/share/java/okio.jar -d "$built" ci/clients/java/*.java
for client in gorilla coder; do
    GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= go build -o "$built/$client" "ci/clients/go/$client.go"
done
# shellcheck disable=SC2046 # several arguments
g++ -O0 -fPIC -std=c++17 -o "$built/qt" ci/clients/cpp/qt.cpp $(pkg-config --cflags --libs Qt5WebSockets Qt5Core)

# shellcheck source=ci/suites.sh
source ci/suites.sh
programs
start ECHO echo --addr 127.0.0.1:0
python3 ci/clients/run.py "$ECHO" "$built" "$built/venv/bin/python" >"$work/table.md"
if [[ ${1:-} == --write ]]; then
    {
        cat <<'TEXT'
# Clients

`bash ci/clients.sh --write` writes this page. Each client is a library that nobody here wrote. It opens a socket to the example
`echo` over HTTP/1.1, sends 1 MiB, compares what comes back, and closes with 1000. Then it asks again with the `Origin` of a foreign
page, which the layer refuses (403).

TEXT
        cat "$work/table.md"
    } >docs/results/clients.md
else
    grep '^|' "$work/table.md"
fi
conclude
