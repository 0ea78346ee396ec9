//! Manifests: stored as the bytes that were pushed, together with what they name.

mod delete;
mod pull;
mod push;

pub use pull::{ManifestContent, ManifestStat};
pub use push::ManifestPushed;
