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

# Runs one test program, with what follows as its arguments. The whole workspace says which features are built:
# a stage that named a package would build everything once more for that package's own.
run_test() {
    local name=$1
    shift
    cargo test --workspace --locked --quiet --test "$name" -- "$@"
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
    cargo clippy --workspace --all-targets --features larder/failpoints --locked --quiet -- -D warnings
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
    run_test clients
}

python() {
    tools packages clients python services
    in_cells "real Python clients" run_test python
}

identity() {
    tools identity
    stage "the parts that sign-in is tested with"
    run_test identity
    stage "letters"
    run_test accounts
}

providers() {
    tools identity
    stage "sign-in with identity providers, honest ones and others"
    run_test providers --test-threads 2
}

browser() {
    tools packages clients identity
    stage "sign-in with a real provider in a real browser"
    run_test browser
}

credentials() {
    # Of the identity group, what reads YAML.
    tools packages clients python services identity
    stage "every kind of credentials on several servers, until it is revoked"
    run_test credentials --test-threads 2
}

conformance() {
    tools conformance services
    in_cells "conformance, release 1.1.1" \
        run_test conformance --skip the_development_program
}

conformance-dev() {
    tools conformance conformance-dev services
    in_cells "conformance, the specification's main branch" \
        run_test conformance the_development_program
    local -x LARDER_TEST_REPLICAS=3
    local cells=(postgres/s3)
    in_cells "conformance, the specification's main branch, three servers" \
        run_test conformance the_development_program
}

backends() {
    tools services
    stage "the services that the tests stand on"
    run_test services
    stage "the database on PostgreSQL"
    run_test postgres
    # Two tests of sign-in stop the clock, on which waiting for a server's answer depends.
    cargo build --workspace --locked --quiet --example with_postgres
    "${CARGO_TARGET_DIR:-target}/debug/examples/with_postgres" \
        cargo test --workspace --lib --test behaviour --locked --quiet -- \
        --skip failures_slow_down_and_success_ends_it \
        --skip guesses_in_parallel_are_refused_and_a_remembered_password_is_not
    stage "the plans of all statements"
    run_test plans
    stage "the store in a bucket"
    run_test bucket
}

moving() {
    tools packages clients services
    stage "import and export"
    run_test transfer
    stage "from SQLite and a disk to PostgreSQL and a bucket, and back"
    run_test moving
}

replicas() {
    tools packages clients python services conformance
    stage "several servers behind a balancer"
    run_test replicas --test-threads 2
    # Every server that a test starts is three of them now, at the balancer's address.
    local -x LARDER_TEST_REPLICAS=3
    local cells=(postgres/s3)
    in_cells "conformance, release 1.1.1, three servers" \
        run_test conformance --skip the_development_program
    in_cells "real Python clients, three servers" run_test python
}

race() {
    tools services
    local cells=(sqlite/disk postgres/s3)
    in_cells "races between pushes, deletes and collection" run_test race
}

crash() {
    stage "crashes"
    # Of the program and of the storage below it.
    cargo test --workspace --features larder/failpoints,blobs/failpoints --locked --quiet --test crash -- --nocapture
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
