//! The program's surfaces, spoken to over HTTP as any client would: one module a surface, and one for each
//! promise that holds across all of them.
//!
//! Nothing here needs another program: `cargo test -p larder` runs it all.

mod accounts;
mod auth;
mod backup;
mod disk;
mod isolation;
mod lifecycle;
mod machines;
mod management;
mod oci;
mod program;
mod python;
mod rights;
mod scene;
mod web;
