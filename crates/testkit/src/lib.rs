//! For tests only: the real program, the real clients around it, and content that nobody has seen before.
//!
//! Everything here runs other programs and waits for them, so it blocks: call it from plain `#[test]`
//! functions, not from inside an asynchronous runtime. Whatever goes wrong panics with the output of the
//! program that it happened in, because that is what the reader of a failed test needs.

// The assertions on outputs and answers chain, and most chains end with one.
#![expect(clippy::return_self_not_must_use)]

mod api;
mod background;
pub mod balancer;
mod browser;
pub mod bucket;
pub mod cognito;
mod command;
mod dockerd;
pub mod fault;
mod forward;
pub mod images;
pub mod issuer;
mod mail;
pub mod oidc;
pub mod page;
mod port;
pub mod postgres;
mod process;
pub mod python;
mod random;
mod replicas;
mod server;
mod service;

pub use api::{Answer, Api, Place, Role, Visibility};
pub use background::Background;
pub use browser::{Browser, Cookie};
pub use command::{Output, Sandbox, run, run_within, tool};
pub use dockerd::Dockerd;
pub use forward::ForwardProxy;
pub use mail::{MailServer, Message};
pub use port::free_port;
pub use random::{random_bytes, random_word};
pub use replicas::Replicas;
pub use reqwest::Method;
pub use reqwest::blocking::{Body, RequestBuilder};
pub use server::{Options, Server, TEST_SEALING_KEY};

/// The digest of `bytes` as a client writes it: `sha256:` and 64 lower case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes)))
}

/// The same with SHA-512: `sha512:` and 128 digits.
pub fn sha512(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    format!("sha512:{}", hex::encode(sha2::Sha512::digest(bytes)))
}
