//! Source distributions: a compressed tar archive with one directory (source distribution format).

use flate2::Compression;
use flate2::write::GzEncoder;

use super::wheel::{Metadata, normalized};
use super::{BuiltFile, Tar};

/// A source distribution to be, made as it should be unless a method says otherwise. It needs no build tool
/// from anywhere: its build backend lies inside.
#[derive(Clone, Debug)]
#[must_use]
pub struct Sdist {
    name: String,
    version: String,
    filename: Option<String>,
    directory: String,
    metadata: Metadata,
    omitted: bool,
    files: Vec<(String, Vec<u8>)>,
    suffix: Vec<u8>,
    uncompressed: bool,
}

impl Sdist {
    /// A source distribution of the project `name`, as PKG-INFO spells it, in `version`.
    pub fn new(name: &str, version: &str) -> Self {
        let mut metadata = Metadata::new(name, version);
        "2.2".clone_into(&mut metadata.version);
        let project = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            filename: None,
            directory: format!("{}-{version}", normalized(name)),
            metadata,
            omitted: false,
            files: vec![
                ("pyproject.toml".to_owned(), project.into()),
                ("backend.py".to_owned(), include_bytes!("backend.py").to_vec()),
                (format!("{}.py", normalized(name)), format!("version = {version:?}\n").into_bytes()),
            ],
            suffix: Vec::new(),
            uncompressed: false,
        }
    }

    /// The whole file name; nothing inside changes.
    pub fn filename(mut self, filename: &str) -> Self {
        self.filename = Some(filename.to_owned());
        self
    }

    /// The name of the one directory.
    pub fn directory(mut self, directory: &str) -> Self {
        directory.clone_into(&mut self.directory);
        self
    }

    /// The Metadata-Version, 2.2 at first.
    pub fn metadata_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.metadata.version);
        self
    }

    /// One more field of PKG-INFO.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.metadata.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What PKG-INFO says below its fields.
    pub fn description(mut self, text: &str) -> Self {
        self.metadata.description = Some(text.to_owned());
        self
    }

    /// PKG-INFO as these bytes.
    pub fn metadata(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.metadata.raw = Some(bytes.into());
        self
    }

    /// Without PKG-INFO.
    pub fn without_metadata(mut self) -> Self {
        self.omitted = true;
        self
    }

    /// One more file below the directory.
    pub fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), bytes.into()));
        self
    }

    /// Bytes behind the end of the compressed data.
    pub fn suffix(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.suffix = bytes.into();
        self
    }

    /// A bare tar archive.
    pub fn uncompressed(mut self) -> Self {
        self.uncompressed = true;
        self
    }

    /// The source distribution.
    pub fn build(&self) -> BuiltFile {
        self.build_with(|_| ())
    }

    /// The source distribution after `edit` has done to the archive what it likes.
    pub fn build_with(&self, edit: impl FnOnce(&mut Tar)) -> BuiltFile {
        let mut archive = Tar::default();
        if !self.omitted {
            archive.add(&format!("{}/PKG-INFO", self.directory), self.metadata.bytes());
        }
        for (path, content) in &self.files {
            archive.add(&format!("{}/{path}", self.directory), content.as_slice());
        }
        edit(&mut archive);
        let mut bytes = Vec::new();
        if self.uncompressed {
            archive.write(&mut bytes).expect("a vector takes every byte");
        } else {
            let mut encoder = GzEncoder::new(bytes, Compression::best());
            archive.write(&mut encoder).expect("a vector takes every byte");
            bytes = encoder.finish().expect("a vector takes every byte");
        }
        bytes.extend(&self.suffix);
        BuiltFile {
            filename: self
                .filename
                .clone()
                .unwrap_or_else(|| format!("{}-{}.tar.gz", normalized(&self.name), self.version)),
            bytes,
            name: self.name.clone(),
            version: self.version.clone(),
            metadata: self.metadata.bytes(),
        }
    }
}
