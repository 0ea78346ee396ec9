//! The Python clients that people have, against the program that they will run: every one uploads, is told what
//! is wrong with an upload in words that its user can act on, and installs what others have uploaded.
//!
//! Clients and real packages come from `scripts/install-test-tools.sh python`; one that is missing fails its
//! test. The pins are in `clients/`, the list of packages is `corpus.txt`.

mod agreement;
mod attestation;
mod builders;
mod corpus;
mod credentials;
mod oci;
mod pip;
mod poetry;
mod readme;
mod refusals;
mod relay;
mod scene;
mod twine;
mod uv;
