# shellcheck shell=bash
# To be sourced by scripts that need programs of Debian's.

# packages PROGRAM=PACKAGE...: installs what is not there, without starting it.
packages() {
    local wanted missing=()
    for wanted in "$@"; do
        command -v "${wanted%%=*}" >/dev/null || missing+=("${wanted#*=}")
    done
    ((${#missing[@]} == 0)) || (
        # Debian starts what it installs, unless this file says no.
        policy=/usr/sbin/policy-rc.d
        if [[ ! -e $policy ]]; then
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod +x "$policy"
        fi
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
    )
}
