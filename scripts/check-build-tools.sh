#!/usr/bin/env bash
# Looks for what building takes and says how to get what is missing. As root on Debian it installs a C compiler
# by itself: SQLite and the cryptography are compiled from C.
set -euo pipefail

if ! command -v cc >/dev/null || ! command -v make >/dev/null || ! command -v cmake >/dev/null; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "installing a C compiler and cmake" >&2
        export DEBIAN_FRONTEND=noninteractive
        { apt-get -qq update && apt-get -qq -y --no-install-recommends install build-essential cmake; } </dev/null >&2
    else
        echo "a C compiler and cmake are missing; on Debian: sudo apt-get install build-essential cmake" >&2
        exit 1
    fi
fi
if ! command -v cargo >/dev/null; then
    echo "cargo is missing; install Rust with rustup (Debian 13 and later: apt-get install rustup), then try again" >&2
    exit 1
fi
