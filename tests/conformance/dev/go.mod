// The conformance program of the specification's main branch. It checks what the next release will ask for.
module larder.invalid/tests/conformance/dev

go 1.26.1

tool github.com/opencontainers/distribution-spec/conformance

require github.com/opencontainers/distribution-spec/conformance v0.0.0-20260716174315-967efdc079b9
