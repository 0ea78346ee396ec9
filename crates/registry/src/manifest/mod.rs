//! Manifests: stored as the bytes that were pushed, together with what they name.

mod content;
mod delete;
mod pull;
mod push;

pub(crate) use content::{NewContent, manifest_store_in};
pub use pull::{ManifestContent, ManifestStat};
pub use push::ManifestPushed;
