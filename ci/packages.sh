# shellcheck shell=bash
# Sourced by scripts that need programs from Debian or from cargo, or Rust's nightly toolchain.

# packages PROGRAM=PACKAGE...: installs the missing packages, without starting them.
packages() {
    local wanted missing=()
    for wanted in "$@"; do
        command -v "${wanted%%=*}" >/dev/null || missing+=("${wanted#*=}")
    done
    install_packages "${missing[@]}"
}

# libraries PACKAGE...: the same, for packages without a program.
libraries() {
    local wanted missing=()
    for wanted in "$@"; do
        dpkg-query --show --showformat '${db:Status-Status}' "$wanted" 2>/dev/null | grep -qx installed || missing+=("$wanted")
    done
    install_packages "${missing[@]}"
}

install_packages() {
    (($# == 0)) || (
        # Debian starts the services that it installs, unless this file says no.
        policy=/usr/sbin/policy-rc.d
        if [[ ! -e $policy ]]; then
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod +x "$policy"
        fi
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
    )
}

# tool NAME VERSION: installs a program with cargo, if it is missing.
tool() {
    command -v "$1" >/dev/null || cargo install --quiet --locked "$1@$2"
}

# nightly COMPONENT...: installs Rust's nightly toolchain with these components, if they are missing.
nightly() {
    rustup run nightly rustc --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal || {
        echo "a nightly toolchain is needed: rustup toolchain install nightly" >&2
        return 1
    }
    local component
    for component in "$@"; do
        rustup +nightly component list --installed | grep -q "^$component" || rustup +nightly component add "$component"
    done
}
