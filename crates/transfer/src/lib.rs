//! Moving content in and out: a client of the OCI distribution protocol that copies whole repositories into a
//! Larder, from another registry or from the data directory of one, and from a Larder into OCI image layouts.
//!
//! It talks to the target over HTTP like any other client, so it needs no access to a database or a store
//! and works whatever stands behind the address. Every byte is hashed on its way; nothing is named before
//! everything that it names is there, so an interrupted run leaves nothing half done and the next one only
//! looks at what is there already.

mod address;
mod challenge;
mod client;
mod credentials;
mod disk;
mod error;
mod export;
mod import;
mod layout;
mod manifest;
mod pattern;
mod progress;
mod remote;
mod retry;
mod source;
mod verify;

pub use address::{AddressError, ImageAddress, RegistryAddress, SourceAddress, TargetAddress};
pub use credentials::Credentials;
pub use error::{Error, Failure};
pub use export::{Export, ExportOptions};
pub use import::{Import, ImportOptions, Planned, Selection};
pub use pattern::Pattern;
pub use progress::Progress;
