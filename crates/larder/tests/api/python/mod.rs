//! The Python index of a registry: what it takes, what it refuses and with which words, and what it shows.

mod access;
mod attestation;
mod bad_filename;
mod bad_form;
mod bad_metadata;
mod bad_sdist;
mod bad_wheel;
mod limits;
mod names;
mod pushed;
mod scene;
mod upload;
