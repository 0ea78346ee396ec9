//! The vocabulary of the OCI distribution protocol: names, digests, tags, ranges, manifests, error codes,
//! and the step from a method, a path and a query to one typed [`Call`].
//!
//! Everything here is pure: no I/O, no clock, nothing asynchronous. Outside text becomes a typed value once,
//! at the door, and the rest of the program carries the value.

#[macro_use]
mod text;

pub mod call;
pub mod conditional;
pub mod digest;
pub mod error;
pub mod excerpt;
pub mod listing;
pub mod manifest;
pub mod media_type;
pub mod name;
pub mod range;
pub mod reference;
pub mod referrers;
pub mod timestamp;

pub use call::{Call, CallError, CallErrorReason, UploadId, UploadIdError, UploadStart};
pub use conditional::if_none_match;
pub use digest::{Algorithm, AnyDigest, Digest, DigestError};
pub use error::{ErrorBody, ErrorCode, ErrorEntry};
pub use excerpt::excerpt;
pub use manifest::{Descriptor, MAX_MANIFEST_BYTES, Manifest, ManifestError, Subject};
pub use media_type::ManifestKind;
pub use name::{NameError, OrganizationName, RegistryName, RepositoryName};
pub use range::{ByteRange, ContentRange, ContentRangeError};
pub use reference::{Reference, ReferenceError, Tag, TagError};
pub use referrers::ReferrerDescriptor;
