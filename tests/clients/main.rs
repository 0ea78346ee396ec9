//! The clients that people have, against the program that they will run: every one logs in, pushes, pulls
//! and compares, lists and deletes where it can, and is refused with words that its user can act on.
//!
//! The programs come from `scripts/install-test-tools.sh`; one that is missing fails its test.

mod article;
mod buildah;
mod crane;
mod docker;
mod helm;
mod oras;
mod pages;
mod podman;
mod readme;
mod regctl;
mod scene;
mod skopeo;
