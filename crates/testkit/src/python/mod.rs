//! Wheels and source distributions made in code, right or wrong in any way, and the request that uploads them.
//!
//! Archives are written byte by byte here and not by a library: a library refuses to write what a server has
//! to refuse to read.

use std::path::Path;

mod api;
mod exchange;
mod sdist;
mod tar;
mod upload;
mod wheel;
mod zip;

pub use exchange::exchange;
pub use sdist::Sdist;
pub use tar::{Tar, TarEntry};
pub use upload::{Part, Upload};
pub use wheel::Wheel;
pub use zip::{Entry, Zip};

/// A distribution as an upload client finds it on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltFile {
    /// Its file name.
    pub filename: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The project as METADATA spells it, or the builder was told.
    pub name: String,
    /// The version in the same way.
    pub version: String,
    /// The METADATA or PKG-INFO inside, as it was written.
    pub metadata: Vec<u8>,
}

impl BuiltFile {
    /// A file that no builder made, such as one that was downloaded.
    pub fn new(filename: &str, name: &str, version: &str, bytes: Vec<u8>) -> Self {
        Self {
            filename: filename.to_owned(),
            bytes,
            name: name.to_owned(),
            version: version.to_owned(),
            metadata: Vec::new(),
        }
    }

    /// The SHA-256 of the content: 64 lower case hexadecimal digits, without the name of the algorithm.
    pub fn sha256(&self) -> String {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(&self.bytes))
    }

    /// The `BLAKE2b` of the content with 256 bits: 64 lower case hexadecimal digits.
    pub fn blake2b_256(&self) -> String {
        use blake2::Digest as _;
        hex::encode(blake2::Blake2b256::digest(&self.bytes))
    }

    /// The MD5 of the content: 32 lower case hexadecimal digits.
    pub fn md5(&self) -> String {
        use md5::Digest as _;
        hex::encode(md5::Md5::digest(&self.bytes))
    }

    /// `bdist_wheel` or `sdist`, by the end of the file name.
    pub fn filetype(&self) -> &'static str {
        if Path::new(&self.filename).extension() == Some("whl".as_ref()) { "bdist_wheel" } else { "sdist" }
    }

    /// The same content under another file name.
    pub fn renamed(mut self, filename: &str) -> Self {
        filename.clone_into(&mut self.filename);
        self
    }
}

#[cfg(test)]
mod tests;
