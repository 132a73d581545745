#!/usr/bin/env bash
# Compares the speed of the example `gateway`, nginx and HAProxy, in front of the same upstream. Takes two minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/sbin

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages nginx=nginx-light haproxy=haproxy

cargo bench --quiet --locked -p gateway
