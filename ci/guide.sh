#!/usr/bin/env bash
# Runs the commands that the README and the guide (docs/guide) tell a reader to run.
#
# `PROGRAMS=DIRECTORY ci/guide.sh` uses the programs in that directory, such as `target/debug`, instead of building them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages curl=curl openssl=openssl systemd-analyze=systemd
export PYTHONDONTWRITEBYTECODE=1
venv=target/guide-venv
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r ci/guide/requirements.txt

# shellcheck source=ci/suites.sh
source ci/suites.sh
programs
"$venv/bin/python" ci/guide/run.py "$PROGRAMS"
