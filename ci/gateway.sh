#!/usr/bin/env bash
# The example `gateway` beside nginx and HAProxy: how fast each is in front of the same upstream. It takes two minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/sbin

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages nginx=nginx-light haproxy=haproxy

cargo bench --quiet --locked -p gateway
