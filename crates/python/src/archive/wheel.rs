//! Wheels (binary distribution format).

use std::io::{Read, Seek};

use super::notes::Notes;
use super::record::{Checker, Expected, Listing};
use super::source::Source;
use super::wheel_file::WheelFile;
use super::zip::Archive;
use super::{Contents, Limits, REBUILD_WHEEL, archive_fault, entry_points, is_name_and_version, license};
use crate::{Code, FileName, Invalid, Metadata, Refused, excerpt};

/// The largest RECORD, in bytes: about 160 for each of the most entries that there may be.
const MOST_RECORD_BYTES: u64 = 16 * 1024 * 1024;
/// The largest WHEEL file, in bytes.
const MOST_WHEEL_FILE_BYTES: u64 = 256 * 1024;
/// The largest `entry_points.txt`, in bytes.
const MOST_ENTRY_POINTS_BYTES: u64 = 1024 * 1024;

/// Reads a wheel from beginning to end and checks it, the hash of every file included.
///
/// `size` is the size of the file behind `reader`, `file` the name under which it was uploaded. Whether METADATA
/// names the same project and version as `file` is for the caller to check; the directory that holds it does.
pub fn read_wheel<R: Read + Seek>(
    reader: R,
    size: u64,
    file: &FileName,
    limits: &Limits,
) -> Result<Contents, Refused> {
    let mut notes = Notes::default();
    let archive = Archive::open(Source::new(reader, size)?, limits, &mut notes)?;
    let directory = find_information_directory(&archive, file)?;
    let mut wheel = Wheel { archive, directory };

    let metadata_bytes = wheel.take("METADATA", Code::Metadata, limits.metadata_bytes)?;
    let wheel_file = wheel.take("WHEEL", Code::Archive, MOST_WHEEL_FILE_BYTES)?;
    let record = wheel.take("RECORD", Code::Archive, MOST_RECORD_BYTES)?;
    let entry_points = wheel.take_optional("entry_points.txt", Code::Archive, MOST_ENTRY_POINTS_BYTES)?;

    WheelFile::parse(&wheel_file)?.check(file, &mut notes)?;
    if let Some(entry_points) = entry_points {
        entry_points::check(&entry_points, &mut notes)?;
    }
    let metadata = Metadata::parse(&metadata_bytes)?;
    let licenses = format!("{}/licenses", wheel.directory);
    let present = |path: &str| wheel.archive.find(&format!("{licenses}/{path}")).is_some();
    license::check(&metadata, &licenses, present, limits, &mut notes)?;
    wheel.check_record(&record, limits, &mut notes)?;
    Ok(Contents { metadata: metadata_bytes, warnings: notes.into_warnings() })
}

/// A wheel whose one `.dist-info` directory is known.
struct Wheel<R> {
    archive: Archive<R>,
    directory: String,
}

impl<R: Read + Seek> Wheel<R> {
    fn take(&mut self, name: &str, code: Code, limit: u64) -> Result<Vec<u8>, Refused> {
        self.take_optional(name, code, limit)?.ok_or_else(|| {
            let place = excerpt(&self.directory);
            Invalid::new(code, format!("{name} is missing in '{place}'; {REBUILD_WHEEL}")).into()
        })
    }

    fn take_optional(&mut self, name: &str, code: Code, limit: u64) -> Result<Option<Vec<u8>>, Refused> {
        let Some(index) = self.archive.find(&format!("{}/{name}", self.directory)) else { return Ok(None) };
        if self.archive.entries()[index].size > limit {
            return Err(Invalid::new(code, format!("{name} is larger than {limit} bytes; shorten it")).into());
        }
        self.archive.read(index).map(Some)
    }

    /// Reads every file once and holds it against RECORD.
    fn check_record(&mut self, record: &[u8], limits: &Limits, notes: &mut Notes) -> Result<(), Refused> {
        let exempt = ["RECORD", "RECORD.jws", "RECORD.p7s"].map(|name| format!("{}/{name}", self.directory));
        let mut checker = Checker::new(limits.record, notes);
        let listing = Listing::parse(record, &self.archive, &exempt, &mut checker)?;
        for index in 0..self.archive.entries().len() {
            let entry = &self.archive.entries()[index];
            let (name, size) = (entry.name.clone(), entry.size);
            let expected = listing.expected(index);
            if expected.is_none() && !entry.is_directory() && !exempt.iter().any(|path| **path == *name) {
                checker.fault(|| format!("'{}' is not listed", excerpt(&name)))?;
            }
            let mut hasher = expected.map(Expected::hasher);
            self.archive.stream(index, |bytes| {
                if let Some(hasher) = &mut hasher {
                    hasher.update(bytes);
                }
            })?;
            let difference =
                expected.zip(hasher).and_then(|(expected, hasher)| expected.difference(size, hasher));
            if let Some(what) = difference {
                checker.fault(|| format!("the {what} of '{}' differs", excerpt(&name)))?;
            }
        }
        Ok(())
    }
}

/// The one `.dist-info` directory at the root, which must be that of the project and version of `file`.
fn find_information_directory<R: Read + Seek>(
    archive: &Archive<R>,
    file: &FileName,
) -> Result<String, Refused> {
    let mut found: Option<&str> = None;
    for entry in archive.entries() {
        let first = entry.name.split('/').next().unwrap_or_default();
        // On a system that ignores case, another spelling of the suffix is a second directory as well.
        let suffix = first.len().checked_sub(".dist-info".len()).and_then(|at| first.get(at..));
        if !suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(".dist-info")) {
            continue;
        }
        match found {
            Some(found) if found != first => {
                let (found, first) = (excerpt(found), excerpt(first));
                return Err(archive_fault(format!(
                    "wheel must contain exactly one .dist-info directory, found '{found}' and '{first}'; \
                     {REBUILD_WHEEL}"
                )));
            }
            _ => found = Some(first),
        }
    }
    let Some(directory) = found else {
        return Err(archive_fault(format!(
            "wheel must contain exactly one .dist-info directory, found none; {REBUILD_WHEEL}"
        )));
    };
    if !directory.strip_suffix(".dist-info").is_some_and(|stem| is_name_and_version(stem, file)) {
        return Err(archive_fault(format!(
            "the directory '{}' is not that of {} {}, after which the file is named; {REBUILD_WHEEL}",
            excerpt(directory),
            file.project(),
            file.version()
        )));
    }
    Ok(directory.to_owned())
}

#[cfg(test)]
mod tests;
