//! The registry protocol (OCI distribution-spec), endpoint by endpoint.

mod blob;
mod catalog;
mod content;
mod delete;
mod digest;
mod limits;
mod manifest;
mod mount;
mod oras;
mod ping;
mod pull;
mod referrers;
mod tag;
mod upload;
