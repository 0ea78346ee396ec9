//! The vocabulary of the Python package index: names, versions, file names, core metadata, the upload form,
//! the archives, the simple repository API, and the shape in which a file becomes an OCI artifact.
//!
//! Everything here is pure: no network, no clock, nothing asynchronous. Archives are read through
//! [`std::io::Read`] and [`std::io::Seek`]. Outside text becomes a typed value once, at the door; what is wrong
//! with it is an [`Invalid`] whose text is made for the person who uploads.

pub mod accept;
mod archive;
mod attestation;
pub mod call;
mod distribution;
pub mod error;
pub mod filename;
mod form;
pub mod manifest;
pub mod metadata;
pub mod name;
pub mod page;
pub mod tag;
pub mod version;

pub use accept::{Format, negotiate};
pub use archive::{Contents, LicenseFilePolicy, Limits, RecordPolicy, read_sdist, read_wheel};
pub use attestation::{Attestation, parse_attestations, provenance};
pub use call::{Call, CallError, CallErrorReason, FilePath, Place, Target};
pub use distribution::{Distribution, examine};
pub use error::{Code, Invalid, Refused, excerpt};
pub use filename::{FileName, Kind, WheelTags};
pub use form::{Digests, UploadForm};
pub use manifest::{
    ARTIFACT_TYPE, ATTESTATION_TYPE, EMPTY_CONFIG, EMPTY_CONFIG_SHA256, EMPTY_CONFIG_TYPE, FileManifest,
    IndexEntry, SDIST_LAYER_TYPE, TITLE_ANNOTATION, WHEEL_LAYER_TYPE, attestation_manifest,
    check_pushed_annotations, release_index,
};
pub use metadata::{Field, Metadata};
pub use name::{NormalizedName, ProjectName, is_standard_library};
pub use page::{Page, PageFile, Status, file_path_segment, project_list_html, project_list_json};
pub use tag::{file_tag, parse_version_tag, version_tag};
pub use version::Version;
