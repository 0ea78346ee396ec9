//! Core metadata: METADATA of a wheel, PKG-INFO of a source archive (packaging specification "Core metadata",
//! versions 1.0 to 2.6).
//!
//! Readers disagree on damaged metadata: one stops at a line that is no field, another goes on. What an
//! installer would understand then depends on the installer, so such a file is refused here.

use std::collections::HashSet;

use crate::error::{Code, Invalid, excerpt};
use crate::name::ProjectName;
use crate::version::Version;

mod field;
mod headers;

pub use field::Field;

/// The newest minor version of major version 2 that is known.
const NEWEST_KNOWN_MINOR: u32 = 6;

/// The longest `Requires-Python`, in bytes. Every page and every index that shows the file repeats it.
const MAX_REQUIRES_PYTHON_BYTES: usize = 1024;

/// The most warnings that are kept; a file with more is as well understood by the first ones.
const MAX_WARNINGS: usize = 20;

/// The metadata of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the field is called that in the specification")]
pub struct Metadata {
    fields: Vec<(String, String)>,
    metadata_version: String,
    name: ProjectName,
    version: Version,
    warnings: Vec<String>,
}

impl Metadata {
    /// Reads the bytes of METADATA or PKG-INFO. Nothing is decoded but UTF-8 and the folding of long lines.
    /// Fields that are empty or say `UNKNOWN`, as old build tools write for what they do not know, are left
    /// out.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        let text =
            std::str::from_utf8(bytes).map_err(|_| refuse("is not UTF-8; write it in that encoding"))?;
        let (headers, body) = headers::split(text)?;

        refuse_repetitions(&headers)?;

        let mut fields: Vec<(String, String)> = Vec::new();
        let description = body;
        let body_field = ("Description".to_owned(), description.to_owned());
        let has_body = !description.trim().is_empty();
        for (name, value) in headers.into_iter().chain(has_body.then_some(body_field)) {
            let field = Field::by_name(&name);
            let is_placeholder = value.trim() == "UNKNOWN" && field != Some(Field::Name);
            if value.is_empty() || is_placeholder {
                continue;
            }
            let name = field.map_or(name, |field| field.as_str().to_owned());
            // The only one that can stand in two places, of which one is often a placeholder.
            if field == Some(Field::Description) && fields.iter().any(|(known, _)| *known == name) {
                return Err(repeated(Field::Description));
            }
            fields.push((name, value));
        }

        let required = |field: Field| {
            find(&fields, field.as_str())
                .map(str::to_owned)
                .ok_or_else(|| refuse(&format!("has no {}; add it", field.as_str())))
        };
        let metadata_version = required(Field::MetadataVersion)?;
        let mut warnings = Vec::new();
        warnings.extend(check_metadata_version(&metadata_version)?);
        let name = required(Field::Name)?.parse()?;
        let version = required(Field::Version)?.parse()?;
        if find(&fields, Field::RequiresPython.as_str())
            .is_some_and(|it| it.len() > MAX_REQUIRES_PYTHON_BYTES)
        {
            return Err(refuse(&format!(
                "has a Requires-Python of more than {MAX_REQUIRES_PYTHON_BYTES} bytes; shorten it"
            )));
        }
        warnings.extend(specifier_warnings(&fields));
        Ok(Self { fields, metadata_version, name, version, warnings })
    }

    /// Every field in the order of the file: known ones in the spelling of the specification, others as
    /// written, the description last if it is the body.
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// The field `Metadata-Version`.
    pub fn metadata_version(&self) -> &str {
        &self.metadata_version
    }

    /// The field `Name`.
    pub fn name(&self) -> &ProjectName {
        &self.name
    }

    /// The field `Version`.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The field `Summary`.
    pub fn summary(&self) -> Option<&str> {
        self.get("Summary")
    }

    /// The field `Requires-Python`.
    pub fn requires_python(&self) -> Option<&str> {
        self.get("Requires-Python")
    }

    /// The description: the body of the file, or the field `Description` of older files.
    pub fn description(&self) -> Option<&str> {
        self.get("Description")
    }

    /// The fields `License-File`: paths below the licences directory.
    pub fn license_files(&self) -> impl Iterator<Item = &str> {
        self.all("License-File")
    }

    /// The fields `Dynamic`: the names of fields that a build may fill in.
    pub fn dynamic(&self) -> impl Iterator<Item = &str> {
        self.all("Dynamic")
    }

    /// The first value of a field. Case does not matter in its name.
    pub fn get(&self, field: &str) -> Option<&str> {
        find(&self.fields, field)
    }

    /// Every value of a field, in order. Case does not matter in its name.
    pub fn all(&self, field: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(field))
            .map(|(_, value)| value.as_str())
    }

    /// What is odd about the metadata but no reason to refuse it, as sentences for people.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

fn refuse(what: &str) -> Invalid {
    Invalid::new(Code::Metadata, format!("METADATA {what}"))
}

/// Refuses a field that may be there once and is a second time, be it empty: of two values readers take the first,
/// the last or none.
fn refuse_repetitions(headers: &[(String, String)]) -> Result<(), Invalid> {
    let mut seen = HashSet::new();
    let single = headers.iter().filter_map(|(name, _)| Field::by_name(name));
    let repetition = single.filter(|field| !field.is_multiple_use()).find(|field| !seen.insert(*field));
    repetition.map_or(Ok(()), |field| Err(repeated(field)))
}

fn repeated(field: Field) -> Invalid {
    refuse(&format!("states {} more than once; keep one", field.as_str()))
}

fn find<'a>(fields: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
}

/// A consumer must refuse a higher major version and should warn about a higher minor one.
fn check_metadata_version(text: &str) -> Result<Option<String>, Invalid> {
    let number =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok());
    let parsed = text
        .split_once('.')
        .and_then(|(major, minor)| Some((number(major).flatten()?, number(minor).flatten()?)));
    match parsed {
        Some((1, 0..=2) | (2, 0..=NEWEST_KNOWN_MINOR)) => Ok(None),
        Some((1 | 2, _)) => Ok(Some(format!(
            "METADATA has version {}, which is newer than this index knows; fields may be missed",
            excerpt(text)
        ))),
        _ => Err(refuse(&format!(
            "has Metadata-Version '{}', which is not supported; use 1.0 to 2.{NEWEST_KNOWN_MINOR}",
            excerpt(text)
        ))),
    }
}

/// Requirements that installers will not understand. They are no reason to refuse a file: old releases have
/// some, and installers know how to skip them.
fn specifier_warnings(fields: &[(String, String)]) -> Vec<String> {
    let odd = fields.iter().filter(|(name, value)| match name.as_str() {
        "Requires-Python" => value.parse::<pep440_rs::VersionSpecifiers>().is_err(),
        "Requires-Dist" => !is_requirement(value),
        _ => false,
    });
    odd.take(MAX_WARNINGS)
        .map(|(name, value)| {
            format!("METADATA has {name} '{}', which installers may not understand", excerpt(value))
        })
        .collect()
}

/// Whether the text begins like a dependency specifier (packaging specification "Dependency specifiers"): a name,
/// extras, then an address or versions. The marker behind that is not looked at.
fn is_requirement(text: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let end = text.bytes().position(|byte| !is_name_byte(byte)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.parse::<ProjectName>().is_err() {
        return false;
    }
    let mut rest = rest.trim_start();
    if let Some(extras) = rest.strip_prefix('[') {
        let Some((extras, after)) = extras.split_once(']') else { return false };
        let are_names = extras.split(',').all(|extra| extra.trim().parse::<ProjectName>().is_ok());
        if !are_names && !extras.trim().is_empty() {
            return false;
        }
        rest = after.trim_start();
    }
    if let Some(address) = rest.strip_prefix('@') {
        return !address.trim_start().is_empty();
    }
    let versions = rest.split(';').next().unwrap_or_default().trim();
    let versions =
        versions.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(versions).trim();
    versions.is_empty() || versions.parse::<pep440_rs::VersionSpecifiers>().is_ok()
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
