#!/usr/bin/env bash
# Runs third-party clients, browsers and libraries, against the examples `echo` and `tls`. Each client opens a socket, echoes 1 MiB and
# closes. With a foreign origin, each client is refused.
#
#   ci/clients.sh           all clients
#   ci/clients.sh --quick   Chromium, and the libraries in Python and JavaScript
#   ci/clients.sh --write   all clients; writes docs/results/clients.md and tests/cases/clients.json
#
# `PROGRAMS=DIRECTORY ci/clients.sh` uses the programs in that directory, such as `target/debug`, instead of building them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-} in
    --quick | --write | "") ;;
    *)
        echo "usage: ci/clients.sh [--quick | --write]" >&2
        exit 2
        ;;
esac

# shellcheck source=ci/packages.sh
source ci/packages.sh
built=$PWD/target/clients
mkdir -p "$built"
packages chromium=chromium
python3 -m venv "$built/venv"
"$built/venv/bin/pip" install --quiet --disable-pip-version-check -r ci/clients/python/requirements.txt
cp ci/clients/node/* "$built"
npm ci --prefix "$built" --no-fund --no-audit --loglevel=error

if [[ ${1:-} != --quick ]]; then
    packages firefox-esr=firefox-esr WebKitWebDriver=webkit2gtk-driver xvfb-run=xvfb xauth=xauth go=golang-go \
        javac=default-jdk-headless mojo=libmojolicious-perl ruby=ruby qmake=qtbase5-dev \
        pkg-config=pkg-config g++=g++
    libraries gir1.2-soup-3.0 golang-github-gorilla-websocket-dev golang-nhooyr-websocket-dev libboost1.74-dev libokhttp-java \
        libqt5websockets5-dev libwebsocketpp-dev libwebsockets-dev python3-gi ruby-faye-websocket
    javac -cp /usr/share/java/okhttp.jar:/usr/share/java/okio.jar -d "$built" ci/clients/java/*.java
    for client in gorilla coder; do
        GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= go build -o "$built/$client" "ci/clients/go/$client.go"
    done
    gcc -O0 -o "$built/libwebsockets" ci/clients/c/libwebsockets.c -lwebsockets
    for client in beast websocketpp; do
        g++ -O0 -std=c++17 -o "$built/$client" "ci/clients/cpp/$client.cpp"
    done
    # shellcheck disable=SC2046 # several arguments
    g++ -O0 -fPIC -std=c++17 -o "$built/qt" ci/clients/cpp/qt.cpp $(pkg-config --cflags --libs Qt5WebSockets Qt5Core)
    CARGO_TARGET_DIR=$built/rust cargo build --quiet --locked --manifest-path ci/clients/rust/Cargo.toml
fi

# shellcheck source=ci/suites.sh
source ci/suites.sh
programs
start ECHO echo --addr 127.0.0.1:0
start TLS tls --addr 127.0.0.1:0 --allow-origin 'http://127.0.0.1:*'
PYTHONDONTWRITEBYTECODE=1 python3 ci/clients/run.py "$ECHO" "$TLS" "$work/TLS.stdout" "$built" "$built/venv/bin/python" "$@"
conclude
