//! Every kind of credentials with every kind of client on three servers behind a balancer: each lets its holder in
//! until it is revoked, and from then on nowhere.
//!
//! Docker, Helm, Oras, twine and uv each go through the whole table in [`matrix`]; [`trusted_publishing`] is for what
//! uv does by itself, and [`pages`] types in what the page for users says.

mod docker;
mod doors;
mod helm;
mod holder;
mod matrix;
mod oras;
mod pages;
mod python;
mod scene;
mod tls;
mod trusted_publishing;
