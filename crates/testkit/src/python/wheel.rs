//! Wheels: a ZIP archive with a `.dist-info` directory (binary distribution format).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest as _;

use super::{BuiltFile, Zip};

/// A wheel to be, made as it should be unless a method says otherwise.
///
/// ```
/// let wheel = testkit::python::Wheel::new("Acme.Demo", "1.0").header("Requires-Python", ">=3.8").build();
/// assert_eq!(wheel.filename, "acme_demo-1.0-py3-none-any.whl");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Wheel {
    name: String,
    version: String,
    spelling: String,
    build: Option<String>,
    tag: String,
    filename: Option<String>,
    dist_info: Option<String>,
    metadata: Metadata,
    generator: Option<Vec<u8>>,
    record: Option<Vec<u8>>,
    wrong_hash: Option<String>,
    omitted: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl Wheel {
    /// A wheel of the project `name`, as METADATA spells it, in `version`, with one module.
    pub fn new(name: &str, version: &str) -> Self {
        let spelling = normalized(name);
        Self {
            files: vec![(format!("{spelling}.py"), format!("version = {version:?}\n").into_bytes())],
            name: name.to_owned(),
            version: version.to_owned(),
            spelling,
            build: None,
            tag: "py3-none-any".to_owned(),
            filename: None,
            dist_info: None,
            metadata: Metadata::new(name, version),
            generator: None,
            record: None,
            wrong_hash: None,
            omitted: Vec::new(),
        }
    }

    /// Python, ABI and platform tag together, `py3-none-any` at first.
    pub fn tag(mut self, tag: &str) -> Self {
        tag.clone_into(&mut self.tag);
        self
    }

    /// The build number between version and tags.
    pub fn build_number(mut self, build: &str) -> Self {
        self.build = Some(build.to_owned());
        self
    }

    /// How the file name and the `.dist-info` directory spell the project.
    pub fn spelled(mut self, spelling: &str) -> Self {
        spelling.clone_into(&mut self.spelling);
        self
    }

    /// The whole file name; nothing inside changes.
    pub fn filename(mut self, filename: &str) -> Self {
        self.filename = Some(filename.to_owned());
        self
    }

    /// The name of the `.dist-info` directory.
    pub fn dist_info(mut self, directory: &str) -> Self {
        self.dist_info = Some(directory.to_owned());
        self
    }

    /// The Metadata-Version, 2.1 at first.
    pub fn metadata_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.metadata.version);
        self
    }

    /// One more field of METADATA.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.metadata.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What METADATA says below its fields.
    pub fn description(mut self, text: &str) -> Self {
        self.metadata.description = Some(text.to_owned());
        self
    }

    /// METADATA as these bytes.
    pub fn metadata(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.metadata.raw = Some(bytes.into());
        self
    }

    /// WHEEL as these bytes.
    pub fn wheel(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.generator = Some(bytes.into());
        self
    }

    /// RECORD as these bytes.
    pub fn record(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.record = Some(bytes.into());
        self
    }

    /// RECORD with the hash of something else for `path`.
    pub fn wrong_hash(mut self, path: &str) -> Self {
        self.wrong_hash = Some(path.to_owned());
        self
    }

    /// Without a file of the `.dist-info` directory, such as `METADATA`.
    pub fn without(mut self, name: &str) -> Self {
        self.omitted.push(name.to_owned());
        self
    }

    /// One more file, listed in RECORD.
    pub fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), bytes.into()));
        self
    }

    /// One more file in the `.dist-info` directory, listed in RECORD.
    pub fn dist_info_file(self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let path = format!("{}/{name}", self.directory());
        self.file(&path, bytes)
    }

    /// The wheel.
    pub fn build(&self) -> BuiltFile {
        self.build_with(|_| ())
    }

    /// The wheel after `edit` has done to the archive what it likes. RECORD knows nothing of it.
    pub fn build_with(&self, edit: impl FnOnce(&mut Zip)) -> BuiltFile {
        let mut archive = self.archive();
        edit(&mut archive);
        BuiltFile {
            filename: self.filename.clone().unwrap_or_else(|| {
                let build = self.build.as_ref().map(|build| format!("-{build}")).unwrap_or_default();
                format!("{}-{}{build}-{}.whl", self.spelling, self.version, self.tag)
            }),
            bytes: archive.build(),
            name: self.name.clone(),
            version: self.version.clone(),
            metadata: self.metadata.bytes(),
        }
    }

    /// The name of the `.dist-info` directory.
    pub fn directory(&self) -> String {
        self.dist_info.clone().unwrap_or_else(|| format!("{}-{}.dist-info", self.spelling, self.version))
    }

    fn archive(&self) -> Zip {
        let directory = self.directory();
        let wheel = self.generator.clone().unwrap_or_else(|| self.wheel_text().into_bytes());
        let mut archive = Zip::default();
        for (path, content) in &self.files {
            archive.add(path, content.as_slice());
        }
        for (name, content) in [("METADATA", self.metadata.bytes()), ("WHEEL", wheel)] {
            if !self.omitted.iter().any(|omitted| omitted == name) {
                archive.add(&format!("{directory}/{name}"), content);
            }
        }
        if !self.omitted.iter().any(|omitted| omitted == "RECORD") {
            let record = self.record.clone().unwrap_or_else(|| self.record_text(&archive).into_bytes());
            archive.add(&format!("{directory}/RECORD"), record);
        }
        archive
    }

    /// One `Tag` for each combination of the compressed tags.
    fn wheel_text(&self) -> String {
        let mut text = "Wheel-Version: 1.0\nGenerator: testkit\nRoot-Is-Purelib: true\n".to_owned();
        let parts: Vec<Vec<&str>> = self.tag.split('-').map(|part| part.split('.').collect()).collect();
        if let [pythons, abis, platforms] = parts.as_slice() {
            for python in pythons {
                for abi in abis {
                    for platform in platforms {
                        writeln!(text, "Tag: {python}-{abi}-{platform}").expect("a string takes every line");
                    }
                }
            }
        }
        text
    }

    fn record_text(&self, archive: &Zip) -> String {
        let mut text = String::new();
        for entry in &archive.entries {
            let path = String::from_utf8_lossy(&entry.name).into_owned();
            let wrong = self.wrong_hash.as_ref() == Some(&path);
            let hashed = if wrong { b"something else".as_slice() } else { &entry.content };
            let hash = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(hashed));
            let quoted = if path.contains([',', '"']) { format!("{path:?}") } else { path };
            writeln!(text, "{quoted},sha256={hash},{}", entry.content.len())
                .expect("a string takes every line");
        }
        writeln!(text, "{}/RECORD,,", self.directory()).expect("a string takes every line");
        text
    }
}

/// METADATA or PKG-INFO to be.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub(super) version: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) description: Option<String>,
    pub(super) raw: Option<Vec<u8>>,
}

impl Metadata {
    pub(super) fn new(name: &str, version: &str) -> Self {
        Self {
            version: "2.1".to_owned(),
            headers: vec![("Name".to_owned(), name.to_owned()), ("Version".to_owned(), version.to_owned())],
            description: None,
            raw: None,
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let mut text = format!("Metadata-Version: {}\n", self.version);
        for (name, value) in &self.headers {
            writeln!(text, "{name}: {value}").expect("a string takes every line");
        }
        if let Some(description) = &self.description {
            write!(text, "\n{description}").expect("a string takes every line");
        }
        text.into_bytes()
    }
}

/// The name as archives spell it: runs of `-`, `_` and `.` are one `_`, letters are lower case.
pub(super) fn normalized(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_lowercase()
}
