//! A file as a whole: its archive, its metadata, and its name, which have to agree.

use std::io::{Read, Seek};

use crate::archive::{Contents, Limits, read_sdist, read_wheel};
use crate::{Code, FileName, Invalid, Kind, Metadata, Refused, excerpt};

/// A file that passed every check.
#[derive(Debug)]
pub struct Distribution {
    /// Its name.
    pub file: FileName,
    /// The METADATA of a wheel or the PKG-INFO of an sdist, byte for byte.
    pub metadata_bytes: Vec<u8>,
    /// The same, read.
    pub metadata: Metadata,
    /// What is odd about it but no reason to refuse it.
    pub warnings: Vec<String>,
}

/// Reads a file from end to end: the archive is sound and safe to unpack, holds what its format demands, and
/// says of itself what its name says.
///
/// With `strict_filenames` the name has to be spelled in its normal form (binary distribution format, "File
/// name convention"; source distribution format, "Source distribution file name").
pub fn examine<R: Read + Seek>(
    reader: R,
    size: u64,
    file: &FileName,
    limits: &Limits,
    strict_filenames: bool,
) -> Result<Distribution, Refused> {
    if strict_filenames && !file.is_strict() {
        return Err(not_strict(file).into());
    }
    let Contents { metadata: metadata_bytes, mut warnings } = match file.kind() {
        Kind::Wheel => read_wheel(reader, size, file, limits)?,
        Kind::Sdist => read_sdist(reader, size, file, limits)?,
    };
    let metadata = Metadata::parse(&metadata_bytes)?;
    check_identity(file, &metadata)?;
    warnings.extend(metadata.warnings().iter().cloned());
    Ok(Distribution { file: file.clone(), metadata_bytes, metadata, warnings })
}

fn not_strict(file: &FileName) -> Invalid {
    let name = file.project().as_file_name_part();
    let version = file.version();
    Invalid::new(
        Code::FileName,
        format!(
            "Invalid filename '{}': this registry takes names in normal form only, which begins with \
             {name}-{version}; build it with a current build backend",
            excerpt(file.as_str())
        ),
    )
}

/// The metadata is what the file says of itself, so the name has to follow it.
fn check_identity(file: &FileName, metadata: &Metadata) -> Result<(), Invalid> {
    if metadata.name().normalized() != *file.project() {
        return Err(Invalid::new(
            Code::NameMismatch,
            format!(
                "METADATA Name '{}' does not match filename '{}'",
                excerpt(metadata.name().as_str()),
                excerpt(file.as_str())
            ),
        ));
    }
    if metadata.version() != file.version() {
        return Err(Invalid::new(
            Code::VersionMismatch,
            format!(
                "Version in filename is {}, METADATA says {}",
                excerpt(file.version_text()),
                excerpt(&metadata.version().to_string())
            ),
        ));
    }
    Ok(())
}
