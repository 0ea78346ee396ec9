//! File names of wheels and source archives (packaging specifications "Binary distribution format" and
//! "Source distribution format").

use std::fmt;
use std::str::FromStr;

use crate::error::{Code, Invalid, excerpt};
use crate::name::{NormalizedName, ProjectName};
use crate::version::Version;

/// The longest file name, in bytes.
pub const MAX_FILE_NAME_BYTES: usize = 255;

const WHEEL_SUFFIX: &str = ".whl";
const SDIST_SUFFIX: &str = ".tar.gz";

/// The kinds of file that the index takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A built distribution, `.whl`.
    Wheel,
    /// A source archive, `.tar.gz`.
    Sdist,
}

impl Kind {
    /// The kind as the form field `filetype` writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wheel => "bdist_wheel",
            Self::Sdist => "sdist",
        }
    }
}

impl FromStr for Kind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "bdist_wheel" => Ok(Self::Wheel),
            "sdist" => Ok(Self::Sdist),
            _ => Err(Invalid::new(
                Code::FileType,
                format!(
                    "Invalid filetype '{}': use bdist_wheel for a .whl or sdist for a .tar.gz",
                    excerpt(text)
                ),
            )),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The compatibility tags of a wheel, each compressed set taken apart (packaging specification "Platform
/// compatibility tags"). Tags are in lower case, in the order of the file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelTags {
    /// Python implementations and versions, such as `py3` or `cp311`.
    pub python: Vec<String>,
    /// Binary interfaces, such as `abi3` or `none`.
    pub abi: Vec<String>,
    /// Platforms, such as `manylinux_2_17_x86_64` or `any`.
    pub platform: Vec<String>,
}

/// The name of a wheel or of a source archive, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    text: String,
    project_text: String,
    project: NormalizedName,
    version_text: String,
    version: Version,
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Wheel { build: Option<String>, tags: WheelTags },
    Sdist,
}

impl FileName {
    /// The file name as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Wheel or source archive.
    pub fn kind(&self) -> Kind {
        match self.shape {
            Shape::Wheel { .. } => Kind::Wheel,
            Shape::Sdist => Kind::Sdist,
        }
    }

    /// The project that the name states.
    pub fn project(&self) -> &NormalizedName {
        &self.project
    }

    /// The project's name as the file name spells it.
    pub fn project_text(&self) -> &str {
        &self.project_text
    }

    /// The version that the name states.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The version as the file name spells it.
    pub fn version_text(&self) -> &str {
        &self.version_text
    }

    /// The compatibility tags of a wheel.
    pub fn tags(&self) -> Option<&WheelTags> {
        match &self.shape {
            Shape::Wheel { tags, .. } => Some(tags),
            Shape::Sdist => None,
        }
    }

    /// A text that is the same for all spellings of one file and different for different files: the normal
    /// name, the version without trailing zeros, the build number without leading ones, and the sorted tags.
    /// An installer cannot tell two files with one canonical name apart.
    pub fn canonical(&self) -> String {
        let name = self.project.as_file_name_part();
        let version = self.version.release_key();
        match &self.shape {
            Shape::Sdist => format!("{name}-{version}{SDIST_SUFFIX}"),
            Shape::Wheel { build, tags } => {
                let build = build.as_deref().map(canonical_build).map(|build| format!("-{build}"));
                format!(
                    "{name}-{version}{}-{}-{}-{}{WHEEL_SUFFIX}",
                    build.unwrap_or_default(),
                    canonical_tag_set(&tags.python),
                    canonical_tag_set(&tags.abi),
                    canonical_tag_set(&tags.platform),
                )
            }
        }
    }

    /// Whether name and version are spelled in the normal form that the specifications ask of new files.
    /// Files of older build tools are not, and still install.
    pub fn is_strict(&self) -> bool {
        self.project_text == self.project.as_file_name_part() && self.version_text == self.version.to_string()
    }

    /// What follows the version in a wheel's name, without the extension: build number and tags.
    pub(crate) fn wheel_tail(&self) -> Option<&str> {
        match self.shape {
            Shape::Wheel { .. } => {
                let start = self.project_text.len() + 1 + self.version_text.len() + 1;
                self.text.get(start..self.text.len() - WHEEL_SUFFIX.len())
            }
            Shape::Sdist => None,
        }
    }
}

impl FromStr for FileName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        check_characters(text)?;
        if let Some(stem) = text.strip_suffix(WHEEL_SUFFIX) {
            parse_wheel(text, stem)
        } else if let Some(stem) = text.strip_suffix(SDIST_SUFFIX) {
            parse_sdist(text, stem)
        } else {
            Err(Invalid::new(
                Code::FileType,
                format!(
                    "Invalid filename '{}': this type of file is not accepted. Use .whl or .tar.gz",
                    excerpt(text)
                ),
            ))
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

fn check_characters(text: &str) -> Result<(), Invalid> {
    let invalid =
        |why: &str| Err(Invalid::new(Code::FileName, format!("Invalid filename '{}': {why}", excerpt(text))));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.!+-".contains(&byte);
    if text.is_empty() {
        return invalid("it is empty");
    }
    if text.len() > MAX_FILE_NAME_BYTES {
        return invalid(&format!("use at most {MAX_FILE_NAME_BYTES} characters"));
    }
    if text.starts_with('.') {
        return invalid("it must not begin with a dot");
    }
    if !text.bytes().all(allowed) {
        return invalid("use ASCII letters, digits and the characters _ . ! + - only");
    }
    Ok(())
}

fn parse_wheel(text: &str, stem: &str) -> Result<FileName, Invalid> {
    let invalid = |why: &str| {
        Invalid::new(Code::FileName, format!("Invalid wheel filename '{}': {why}", excerpt(text)))
    };
    let parts: Vec<&str> = stem.split('-').collect();
    let (project_text, version_text, build, python, abi, platform) = match parts[..] {
        [project, version, python, abi, platform] => (project, version, None, python, abi, platform),
        [project, version, build, python, abi, platform] => {
            (project, version, Some(build), python, abi, platform)
        }
        _ => return Err(invalid("it must be name-version[-build]-python-abi-platform.whl")),
    };
    // Installers read a double underscore as damage, because builders write one `_` for a run of separators.
    if project_text.contains("__") {
        return Err(invalid("the name part must not hold '__'"));
    }
    let project = project_text.parse::<ProjectName>()?.normalized();
    let version: Version = version_text.parse()?;
    if build.is_some_and(|build| {
        !build.starts_with(|first: char| first.is_ascii_digit()) || !build.bytes().all(is_tag_byte)
    }) {
        return Err(invalid("the build number must begin with a digit"));
    }
    let tag_set = |part: &str, what: &str| {
        let tags: Vec<String> = part.split('.').map(str::to_ascii_lowercase).collect();
        if tags.iter().any(String::is_empty) {
            return Err(invalid(&format!("its {what} tag is empty")));
        }
        if !part.bytes().all(is_tag_byte) {
            return Err(invalid(&format!("its {what} tag must consist of letters, digits, '_' and '.'")));
        }
        Ok(tags)
    };
    let tags = WheelTags {
        python: tag_set(python, "python")?,
        abi: tag_set(abi, "abi")?,
        platform: tag_set(platform, "platform")?,
    };
    if tags.python.iter().any(|tag| tag.starts_with(|first: char| first.is_ascii_digit())) {
        return Err(invalid("its python tag must begin with a letter, such as py3 or cp312"));
    }
    Ok(FileName {
        text: text.to_owned(),
        project_text: project_text.to_owned(),
        project,
        version_text: version_text.to_owned(),
        version,
        shape: Shape::Wheel { build: build.map(str::to_owned), tags },
    })
}

/// The name of a source archive that follows no current standard may hold hyphens in both its parts, so the
/// version is the shortest tail that is one.
fn parse_sdist(text: &str, stem: &str) -> Result<FileName, Invalid> {
    let split = stem
        .rmatch_indices('-')
        .find_map(|(at, _)| stem[at + 1..].parse::<Version>().ok().map(|version| (at, version)));
    let Some((at, version)) = split else {
        return Err(Invalid::new(
            Code::FileName,
            format!("Invalid filename '{}': a source archive must be name-version.tar.gz", excerpt(text)),
        ));
    };
    let project_text = &stem[..at];
    Ok(FileName {
        text: text.to_owned(),
        project_text: project_text.to_owned(),
        project: project_text.parse::<ProjectName>()?.normalized(),
        version_text: stem[at + 1..].to_owned(),
        version,
        shape: Shape::Sdist,
    })
}

fn is_tag_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

/// Build numbers compare by their leading number first, so leading zeros make no difference.
fn canonical_build(build: &str) -> &str {
    let significant = build.trim_start_matches('0');
    if significant.starts_with(|first: char| first.is_ascii_digit()) {
        return significant;
    }
    // All of the number is zeros; one of them has to stay.
    &build[build.len() - significant.len() - 1..]
}

fn canonical_tag_set(tags: &[String]) -> String {
    let mut sorted: Vec<&str> = tags.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.join(".")
}

#[cfg(test)]
mod tests;
