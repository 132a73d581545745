#!/usr/bin/env bash
# Runs the small applications of ci/applications: several web frameworks behind the layer, each with a real client. Then runs the
# JavaScript client graphql-ws against the applications that serve GraphQL.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A separate target directory, so that this build does not overwrite another one.
CARGO_TARGET_DIR=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}/applications")
export CARGO_TARGET_DIR
cargo test --quiet --locked --manifest-path ci/applications/Cargo.toml
cargo build --quiet --locked --manifest-path ci/applications/Cargo.toml
npm ci --prefix ci/applications/node --no-fund --no-audit --loglevel=error

# shellcheck source=ci/suites.sh
source ci/suites.sh
applications=$CARGO_TARGET_DIR/debug/applications
start GRAPHQL_AXUM "$applications" graphql_axum 127.0.0.1:0
start GRAPHQL_JUNIPER "$applications" graphql_juniper 127.0.0.1:0
start GRAPHQL_STREAM "$applications" graphql_stream 127.0.0.1:0
suite "graphql-ws" node --test --test-reporter=spec ci/applications/node/graphql.mjs
conclude
