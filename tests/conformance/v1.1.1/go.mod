// The conformance tests of release 1.1.1: a Go test package, so it is compiled with "go test -c" and is no tool.
// It has the module path of the newer program, which is why the two cannot share one module.
module larder.invalid/tests/conformance/v1.1.1

go 1.26.1

require github.com/opencontainers/distribution-spec/conformance v0.0.0-20250123160558-a139cc423184
