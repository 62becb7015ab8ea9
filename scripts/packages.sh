# SPDX-License-Identifier: Apache-2.0
# Which system packages are needed for what, and their installation; sourced by the scripts beside it and by .ci/run.
# shellcheck shell=bash

# Needed by scripts that source this file, hence "unused" here.
# shellcheck disable=SC2034
{
    packages_build=(gcc libc6-dev cmake ninja-build pkg-config libdnnl-dev libprotobuf-c-dev protobuf-c-compiler
        libjansson-dev libarchive-dev libjpeg-dev libpng-dev libwebp-dev)
    packages_test=(g++ libcriterion-dev python3 python3-venv ca-certificates)
    packages_checks=(clang clang-format clang-tidy shellcheck)
}

# install_missing PACKAGE...: calls apt only when a package is not there, so that a second run needs no network.
install_missing() {
    local package missing=() as_root=()
    if ! command -v dpkg-query >/dev/null; then
        echo "This is no Debian or Ubuntu: make sure that you have what these packages hold: $*" >&2
        return 0
    fi
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing packages, and neither root nor sudo to install them: ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "Installing ${missing[*]}"
    quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update &&
        quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
            "${missing[@]}"
}

# quietly COMMAND...: shows what the command said only if it failed.
quietly() {
    local said
    if ! said=$("$@" 2>&1 </dev/null); then
        printf '%s\n' "$said" >&2
        return 1
    fi
}

# make_venv FOLDER REQUIREMENTS...: a virtual environment with exactly the pinned packages; made again only when a
# requirements file or the interpreter has changed.
make_venv() {
    local folder=$1 requirements=() file stamp
    shift
    for file in "$@"; do
        requirements+=(-r "$file")
    done
    stamp=$(cat "$@" <(python3 --version) | sha256sum | cut -d ' ' -f 1)
    if [ -x "$folder/bin/python" ] && [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then
        return 0
    fi
    rm -rf "$folder"
    python3 -m venv "$folder"
    echo "Installing Python packages into $folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "${requirements[@]}" </dev/null
    echo "$stamp" >"$folder/stamp"
}
