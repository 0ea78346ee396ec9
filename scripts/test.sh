#!/usr/bin/env bash
# Runs the tests in stages, cheapest first. Without arguments: all stages but conformance-dev.
#
#   scripts/test.sh [lint] [unit] [clients] [python] [identity] [providers] [browser] [credentials] [conformance]
#       [backends] [moving] [replicas] [race] [crash] [fuzz] [conformance-dev]
#
# The conformance suites and the Python clients run once on every pair of a database and an object store.
# LARDER_TEST_CELLS="sqlite/disk postgres/s3" names fewer of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly fuzz_targets=(
    name digest range call manifest conditional scope
    multipart wheel sdist metadata accept filename python_call attestation
)
readonly fuzz_seconds=${FUZZ_SECONDS:-10}

read -r -a cells <<<"${LARDER_TEST_CELLS:-sqlite/disk postgres/disk sqlite/s3 postgres/s3}"

stage() { printf '\n== %s\n' "$*"; }

# The tools that a stage needs, on the path and for the tests.
tools() {
    local directory
    directory=$(scripts/install-test-tools.sh "$@")
    export LARDER_TEST_TOOLS=$directory PATH=$directory:$PATH
}

# Runs a command once in every cell: the first argument says what it is.
in_cells() {
    local what=$1 cell
    shift
    for cell in "${cells[@]}"; do
        stage "$what, on ${cell%/*} and ${cell#*/}"
        LARDER_TEST_DATABASE=${cell%/*} LARDER_TEST_STORAGE=${cell#*/} "$@"
    done
}

lint() {
    tools cargo
    stage "formatting"
    cargo fmt --all --check
    stage "clippy"
    cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
    cargo clippy -p larder --all-targets --features failpoints --locked --quiet -- -D warnings
    stage "dependencies"
    cargo deny --log-level error check bans licenses sources
}

unit() {
    stage "unit and API tests"
    cargo test --workspace --locked --quiet
}

clients() {
    tools packages clients
    stage "real clients"
    cargo test -p larder --locked --quiet --test clients
}

python() {
    tools packages clients python services
    in_cells "real Python clients" cargo test -p larder --locked --quiet --test python
}

identity() {
    tools identity
    stage "the parts that sign-in is tested with"
    cargo test -p testkit --locked --quiet --test identity
    stage "letters"
    cargo test -p larder --locked --quiet --test accounts
}

providers() {
    tools identity
    stage "sign-in with identity providers, honest ones and others"
    cargo test -p larder --locked --quiet --test providers -- --test-threads 2
}

browser() {
    tools packages clients identity
    stage "sign-in with a real provider in a real browser"
    cargo test -p larder --locked --quiet --test browser
}

credentials() {
    # Of the identity group, what reads YAML.
    tools packages clients python services identity
    stage "every kind of credentials on several servers, until it is revoked"
    cargo test -p larder --locked --quiet --test credentials -- --test-threads 2
}

conformance() {
    tools conformance services
    in_cells "conformance, release 1.1.1" \
        cargo test -p larder --locked --quiet --test conformance -- --skip the_development_program
}

conformance-dev() {
    tools conformance conformance-dev services
    in_cells "conformance, the specification's main branch" \
        cargo test -p larder --locked --quiet --test conformance -- the_development_program
    local -x LARDER_TEST_REPLICAS=3
    local cells=(postgres/s3)
    in_cells "conformance, the specification's main branch, three servers" \
        cargo test -p larder --locked --quiet --test conformance -- the_development_program
}

backends() {
    tools services
    stage "the services that the tests stand on"
    cargo test -p testkit --locked --quiet --test services
    stage "the database on PostgreSQL"
    cargo test -p db --locked --quiet --test postgres
    # Two tests of sign-in stop the clock, on which waiting for a server's answer depends.
    cargo run -p testkit --locked --quiet --example with_postgres -- \
        cargo test -p db -p registry -p auth --locked --quiet -- \
        --skip failures_slow_down_and_success_ends_it \
        --skip guesses_in_parallel_are_refused_and_a_remembered_password_is_not
    stage "the plans of all statements"
    cargo test -p larder --locked --quiet --test plans
    stage "the store in a bucket"
    cargo test -p blobs --locked --quiet --test bucket
}

moving() {
    tools packages clients services
    stage "import and export"
    cargo test -p larder --locked --quiet --test transfer
    stage "from SQLite and a disk to PostgreSQL and a bucket, and back"
    cargo test -p larder --locked --quiet --test moving
}

replicas() {
    tools packages clients python services conformance
    stage "several servers behind a balancer"
    cargo test -p larder --locked --quiet --test replicas -- --test-threads 2
    # Every server that a test starts is three of them now, at the balancer's address.
    local -x LARDER_TEST_REPLICAS=3
    local cells=(postgres/s3)
    in_cells "conformance, release 1.1.1, three servers" \
        cargo test -p larder --locked --quiet --test conformance -- --skip the_development_program
    in_cells "real Python clients, three servers" cargo test -p larder --locked --quiet --test python
}

race() {
    tools services
    local cells=(sqlite/disk postgres/s3)
    in_cells "races between pushes, deletes and collection" cargo test -p larder --locked --quiet --test race
}

crash() {
    stage "crashes"
    cargo test -p larder --locked --quiet --features failpoints --test crash -- --nocapture
    cargo test -p blobs --locked --quiet --features failpoints --test crash
}

fuzz() {
    tools cargo
    stage "fuzzing, $fuzz_seconds s for each parser"
    local target found
    # What fuzzing finds goes to a folder of its own; the checked-in seeds stay as they are.
    found=$(mktemp -d)
    for target in "${fuzz_targets[@]}"; do
        # The sanitizers need a nightly compiler; coverage alone does not.
        RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir fuzz --sanitizer none "$target" "$found" "fuzz/corpus/$target" \
            -- -max_total_time="$fuzz_seconds" -verbosity=0 -print_final_stats=0
        rm -rf "${found:?}"/*
    done
    rm -rf "$found"
    echo "fuzzing found nothing"
}

stages=("$@")
((${#stages[@]})) || stages=(
    lint unit clients python identity providers browser credentials conformance backends moving replicas race crash fuzz
)
for name in "${stages[@]}"; do
    "$name"
done
stage "passed: ${stages[*]}"
