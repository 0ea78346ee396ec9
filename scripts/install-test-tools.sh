#!/usr/bin/env bash
# Installs what the tests run beside the server: the engines and clients that Debian packages, the clients and
# conformance suites that are pinned as Go modules, the database, the object store and the balancer that servers
# share, the identity providers, the mail server and the browser that people sign in with, two cargo subcommands,
# the Python clients with the real packages that they carry, and the Python indexes that the benchmark compares
# with. Everything that is already there is left alone, so a second run says nothing and touches no network.
#
#   scripts/install-test-tools.sh [packages] [clients] [conformance] [conformance-dev] [services] [identity] [cargo]
#       [python] [python-peers]
#
# Without an argument: everything but conformance-dev and python-peers. The former is a commit of the
# specification's main branch without a release, which a module proxy need not hold; `make conformance` asks for
# it, and the benchmark for the latter.
#
# The last line of standard output is the directory with the tools; the tests find it in LARDER_TEST_TOOLS.
# Everything else goes to standard error. Whatever cannot be installed ends the run with a status other than 0,
# after everything else has been tried, so that one run tells all that is missing.
set -euo pipefail
export LC_ALL=C

readonly go_needed=1.26.1
readonly cargo_deny=0.20.2
readonly cargo_fuzz=0.13.2
readonly packages=(
    docker.io podman buildah skopeo # the engines and clients that Debian ships
    docker-registry                 # the peer that the benchmark compares with
    iptables                        # dockerd looks for it even where it may not use it
    jq ca-certificates
)
# A package can be there without its program: a docker command line from elsewhere brings no daemon.
readonly programs=(docker dockerd containerd runc podman buildah skopeo docker-registry iptables jq)
# What several servers share; the object store beside them is a Go program.
readonly service_packages=(postgresql haproxy)
# Debian keeps the database's programs apart by version, and the tests find them there.
readonly postgresql_needed=15
# The browser, and what drives it.
readonly identity_packages=(chromium chromium-driver)
# The oldest Node.js that the pinned identity provider works with.
readonly node_needed=20.12
# Where the machine has no Python that is new enough for the pinned clients.
readonly python_packages=(python3 python3-venv)
readonly python_needed=3.11

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly repository
cache=${XDG_CACHE_HOME:-$HOME/.cache}/larder
# Named for what was pinned: another checkout with other pins gets a directory of its own.
pins=$(cd "$repository/tests" && cat tools/go.* tools/*/go.* conformance/*/go.* | sha256sum | cut -c1-16)
tools=${LARDER_TEST_TOOLS:-$cache/tools-$pins}
readonly cache pins tools

failures=0
tell() { printf 'install-test-tools: %s\n' "$*" >&2; }
fail() {
    tell "$*"
    failures=$((failures + 1))
}

# Takes away what an interrupted step would leave behind.
temporary=
policy=
clean_up() {
    if [[ -n $temporary ]]; then rm -rf "$temporary"; fi
    if [[ -n $policy ]]; then rm -f "$policy"; fi
}
trap clean_up EXIT

# Installs those of the named Debian packages that are missing.
install_debian() {
    local missing=() name
    for name in "$@"; do
        [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name")
    done
    if ((${#missing[@]})); then
        if [[ $(id -u) != 0 ]]; then
            fail "the packages ${missing[*]} are missing and only root can install them: run this as root once"
            return
        fi
        tell "installing ${missing[*]}"
        # The packages' own services must not start: the tests start what they need, where they need it, and
        # docker-registry would take port 5000.
        if [[ ! -e /usr/sbin/policy-rc.d ]]; then
            policy=/usr/sbin/policy-rc.d
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
        fi
        export DEBIAN_FRONTEND=noninteractive
        if ! { apt-get -qq update && apt-get -qq -y --no-install-recommends install "${missing[@]}"; } </dev/null >&2; then
            fail "apt-get cannot install ${missing[*]}: see its message above"
        fi
        if [[ -n $policy ]]; then
            rm -f "$policy"
            policy=
        fi
    fi
}

install_packages() {
    local name
    install_debian "${packages[@]}"
    for name in "${programs[@]}"; do
        # Some of them live where an ordinary user's path does not lead.
        PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null ||
            fail "the program $name is missing although its package is installed: reinstall the package"
    done
}

# Go, new enough for the pinned modules.
check_go() {
    local found
    if ! command -v go >/dev/null; then
        fail "the program go is missing: install Go $go_needed or newer and put it on the path"
        return 1
    fi
    found=$(cd / && go env GOVERSION)
    found=${found#go}
    if [[ $(printf '%s\n%s\n' "$go_needed" "${found%%[- ]*}" | sort -V | head -n 1) != "$go_needed" ]]; then
        fail "Go $found is too old to build the pinned clients: install Go $go_needed or newer"
        return 1
    fi
}

# Whether every named program is in the tool directory.
have() {
    local name
    for name in "$@"; do
        [[ -x $tools/$name ]] || return 1
    done
}

# Runs a command that builds into "$temporary/out", then moves the result into the tool directory: a program
# is there whole or not at all. First argument: what it is, for the message.
build() {
    local what=$1
    shift
    temporary=$(mktemp -d)
    mkdir "$temporary/out"
    tell "building $what"
    # No C compiler, no path of this checkout in the result, no look at version control.
    if CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false' "$@" </dev/null >&2; then
        mv "$temporary"/out/* "$tools/"
    else
        fail "cannot build $what: see the message above"
    fi
    rm -rf "$temporary"
    temporary=
}

build_clients() { (cd "$repository/tests/tools" && go build -mod=readonly -o "$temporary/out/" tool); }

# Builds in a copy of the module, because Go completes its list of indirect modules there. The version names a
# commit and go.sum holds the hashes, so the result is pinned nevertheless.
build_conformance() {
    local version=$1
    shift
    cp "$repository/tests/conformance/$version"/go.* "$temporary/"
    (cd "$temporary" && go "$@" -mod=mod -o "out/conformance-$version" github.com/opencontainers/distribution-spec/conformance)
}

build_versitygw() { (cd "$repository/tests/tools/versitygw" && go build -mod=readonly -o "$temporary/out/" tool); }

install_clients() {
    have oras helm crane regctl && return
    check_go || return 0
    build "the clients that are pinned in tests/tools" build_clients
}

install_conformance() {
    have conformance-v1.1.1 && return
    check_go || return 0
    build "the conformance suite that is pinned in tests/conformance/v1.1.1" build_conformance v1.1.1 test -c
}

install_conformance_dev() {
    have conformance-dev && return
    check_go || return 0
    build "the conformance program that is pinned in tests/conformance/dev" build_conformance dev build
}

# Prints the newest version of PostgreSQL that Debian has installed with its server.
find_postgresql() {
    local program found=0
    for program in /usr/lib/postgresql/*/bin/postgres; do
        [[ -x $program ]] || continue
        program=${program#/usr/lib/postgresql/}
        ((${program%%/*} > found)) && found=${program%%/*}
    done
    printf '%s\n' "$found"
}

install_services() {
    install_debian "${service_packages[@]}"
    (($(find_postgresql) >= postgresql_needed)) ||
        fail "there is no PostgreSQL $postgresql_needed or newer in /usr/lib/postgresql: install Debian 12 or newer"
    PATH=$PATH:/usr/sbin:/sbin command -v haproxy >/dev/null ||
        fail "the program haproxy is missing although its package is installed: reinstall the package"
    have versitygw && return
    check_go || return 0
    build "the object store that is pinned in tests/tools/versitygw" build_versitygw
}

# Node.js with npm, new enough for what is pinned.
check_node() {
    local found
    if ! { command -v node && command -v npm; } >/dev/null; then
        fail "the programs node and npm are missing: install Node.js $node_needed or newer and put it on the path"
        return 1
    fi
    found=$(node --version)
    found=${found#v}
    if [[ $(printf '%s\n%s\n' "$node_needed" "$found" | sort -V | head -n 1) != "$node_needed" ]]; then
        fail "Node.js $found is too old for the pinned identity provider: install Node.js $node_needed or newer"
        return 1
    fi
}

# Installs the packages that tests/tools/<name>/package-lock.json pins, each with its hash. The tests find them as
# node/<name> in the tool directory.
install_node_packages() {
    local name=$1 source=$repository/tests/tools/$1 installed
    installed=$cache/node/$name-$(cat "$source"/package*.json | sha256sum | cut -c1-16)
    if [[ ! -e $installed/.complete ]]; then
        check_node || return 0
        tell "installing $name"
        rm -rf "$installed"
        mkdir -p "$installed"
        cp "$source"/package*.json "$installed/"
        # No package's own script runs here.
        if ! (cd "$installed" && npm ci --silent --ignore-scripts --no-audit --no-fund) </dev/null >&2; then
            fail "cannot install $name: see the message above"
            return 0
        fi
        touch "$installed/.complete"
    fi
    mkdir -p "$tools/node"
    ln -sfn "$installed" "$tools/node/$name"
}

install_identity() {
    local name
    install_debian "${identity_packages[@]}"
    for name in chromium chromedriver; do
        command -v "$name" >/dev/null ||
            fail "the program $name is missing although its package is installed: reinstall the package"
    done
    install_node_packages oidc-provider
    for name in moto aiosmtpd; do
        install_environment "$name" "services/$name.txt"
    done
}

# One cargo subcommand of one version, kept apart from the tools because compiling it takes minutes.
install_cargo_command() {
    local name=$1 version=$2 root=$cache/$1-$2
    # It may be installed already, for everybody.
    if [[ $("$name" "${name#cargo-}" --version 2>/dev/null || true) == *" $version"* ]]; then return; fi
    if [[ ! -x $root/bin/$name ]]; then
        if ! command -v cargo >/dev/null; then
            fail "the program cargo is missing: install Rust, then run this again"
            return
        fi
        tell "building $name $version"
        # Outside the checkout, so that its compiler flags and target directory do not apply.
        if ! (cd / && cargo install --quiet --locked --root "$root" "$name@$version") </dev/null >&2; then
            fail "cannot install $name $version: see the message above"
            return
        fi
    fi
    ln -sf "$root/bin/$name" "$tools/$name"
}

install_cargo() {
    install_cargo_command cargo-deny "$cargo_deny"
    install_cargo_command cargo-fuzz "$cargo_fuzz"
}

# Prints a Python that is new enough and makes virtual environments. The one on the path may be a shim that
# chooses by the current directory: what counts is the interpreter behind it.
find_python() {
    local candidate
    for candidate in python3 /usr/bin/python3; do
        (cd / && "$candidate" -c "
import ensurepip, sys, venv
if sys.version_info < tuple(map(int, '$python_needed'.split('.'))): sys.exit(1)
print(sys.executable)") 2>/dev/null && return
    done
    return 1
}

check_python() {
    python=$(find_python) && return
    install_debian "${python_packages[@]}"
    python=$(find_python) && return
    fail "there is no Python $python_needed or newer with venv and ensurepip: install one and put it on the path"
    return 1
}

# Makes one virtual environment from a file of pinned requirements, tests/python/<file>. The tests find it as
# python/<name> in the tool directory. Every client has one to itself, so that none decides what another
# depends on, and every set of pins has a directory of its own. An environment cannot be moved once it is made,
# so a marker tells a whole one from one that was interrupted.
install_environment() {
    local name=$1 requirements=$repository/tests/python/$2 environment
    environment=$cache/python/$name-$(sha256sum <"$requirements" | cut -c1-16)
    if [[ ! -e $environment/.complete ]] || ! "$environment/bin/python" -c 'import pip' 2>/dev/null; then
        check_python || return 0
        tell "installing $(grep -o '^# Made by: echo [^ ]*' "$requirements" | cut -d' ' -f5)"
        rm -rf "$environment"
        mkdir -p "$cache/python"
        # Everything is a wheel with a hash, so no package's own build code runs here.
        if ! {
            cd / && "$python" -m venv "$environment" &&
                "$environment/bin/python" -m pip --quiet --disable-pip-version-check --no-input install \
                    --no-deps --require-hashes --only-binary :all: --requirement "$requirements" &&
                touch "$environment/.complete"
        } </dev/null >&2; then
            fail "cannot install $name: see the message above"
            return 0
        fi
    fi
    mkdir -p "$tools/python"
    ln -sfn "$environment" "$tools/python/$name"
}

# The real packages that tests/python/corpus.txt lists, found by the tests as python/corpus.
install_corpus() {
    local list=$repository/tests/python/corpus.txt corpus
    corpus=$cache/corpus-$(sha256sum <"$list" | cut -c1-16)
    if [[ ! -e $corpus/.complete ]]; then
        tell "fetching the packages of tests/python/corpus.txt"
        mkdir -p "$corpus"
        if ! (cd / && "$tools/python/pip/bin/python" "$repository/scripts/fetch-corpus.py" "$list" "$corpus") </dev/null >&2; then
            fail "cannot fetch the packages of tests/python/corpus.txt: see the message above"
            return 0
        fi
        touch "$corpus/.complete"
    fi
    ln -sfn "$corpus" "$tools/python/corpus"
}

install_python() {
    local name
    for name in pip pip-23.0 twine twine-6.1 uv poetry hatch flit; do
        install_environment "$name" "clients/$name.txt"
    done
    if [[ -x $tools/python/pip/bin/python ]]; then install_corpus; fi
}

install_python_peers() {
    local name
    for name in pypiserver devpi; do
        install_environment "$name" "peers/$name.txt"
    done
}

mkdir -p "$tools"
# Two builds at once would do the same work twice.
exec 9>"$tools/.lock"
flock 9

groups=("$@")
((${#groups[@]})) || groups=(packages clients conformance services identity cargo python)
for group in "${groups[@]}"; do
    case $group in
        packages | clients | conformance | conformance-dev | services | identity | cargo | python | python-peers)
            "install_${group//-/_}"
            ;;
        *)
            fail "there is no group $group: use packages, clients, conformance, conformance-dev, services, identity," \
                "cargo, python or python-peers"
            ;;
    esac
done

if ((failures)); then
    tell "$failures thing(s) could not be installed; the tests need all of them"
    exit 1
fi
printf '%s\n' "$tools"
