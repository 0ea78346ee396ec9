# Everything that a developer types. Each target does its own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run build test lint unit clients python identity browser credentials conformance backends moving \
	replicas crash fuzz bench

FUZZ_SECONDS ?= 10

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 22

run: ## Build and run the registry on localhost:5000, data in ./larder-data
	@scripts/check-build-tools.sh
	cargo run --release --quiet --locked -p larder -- serve

build: ## Build the release program
	@scripts/check-build-tools.sh
	cargo build --release --locked -p larder

test: ## Everything that has to hold: lints, unit and API tests, real clients, conformance, crashes, fuzzing
	@scripts/check-build-tools.sh
	scripts/test.sh

lint: ## Formatting, clippy, dependencies
	@scripts/check-build-tools.sh
	scripts/test.sh lint

unit: ## Unit and API tests alone: no other program is needed
	@scripts/check-build-tools.sh
	scripts/test.sh unit

clients: ## docker, podman, buildah, skopeo, oras, helm, crane and regctl against the server
	@scripts/check-build-tools.sh
	scripts/test.sh clients

python: ## pip, uv, twine, poetry, hatch and flit against the server, with real packages
	@scripts/check-build-tools.sh
	scripts/test.sh python

identity: ## The OpenID provider, Cognito, the issuer, the mail server and the browser that sign-in is tested with
	@scripts/check-build-tools.sh
	scripts/test.sh identity

browser: ## Sign-in through a real provider in a real browser, from the first login to a docker push
	@scripts/check-build-tools.sh
	scripts/test.sh browser

credentials: ## Every kind of credentials with docker, helm, oras, twine and uv on three servers, until it is revoked
	@scripts/check-build-tools.sh
	scripts/test.sh credentials

conformance: ## Both conformance suites, the one of the specification's main branch included
	@scripts/check-build-tools.sh
	scripts/test.sh conformance conformance-dev

backends: ## PostgreSQL and an object store behind the suites that every back end has to pass
	@scripts/check-build-tools.sh
	scripts/test.sh backends

moving: ## Import, export, backup, restore
	@scripts/check-build-tools.sh
	scripts/test.sh moving

replicas: ## Several servers over one database and one bucket, killed and cut off
	@scripts/check-build-tools.sh
	scripts/test.sh replicas

crash: ## Kill the server at random and on purpose; LARDER_CRASH_KILLS=5000 for longer
	@scripts/check-build-tools.sh
	scripts/test.sh crash

fuzz: ## Fuzz every parser for FUZZ_SECONDS each
	@scripts/check-build-tools.sh
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/test.sh fuzz

bench: ## Compare with Debian's docker-registry, and with pypiserver and devpi as a Python index
	@scripts/check-build-tools.sh
	cargo build --release --locked -p larder -p bench
	tools=$$(scripts/install-test-tools.sh packages python-peers services) && \
		LARDER_TEST_TOOLS=$$tools cargo run --release --quiet --locked -p bench -- $(BENCH_ARGUMENTS)
