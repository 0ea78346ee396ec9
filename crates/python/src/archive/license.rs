//! License files that the metadata promises (core metadata 2.4 and later).

use super::notes::Notes;
use super::{LicenseFilePolicy, Limits, archive_fault};
use crate::{Metadata, Refused, excerpt};

/// Checks that every `License-File` of `metadata` is among the files of the archive. `place` names the
/// directory that holds them, for the message.
pub(super) fn check(
    metadata: &Metadata,
    place: &str,
    present: impl Fn(&str) -> bool,
    limits: &Limits,
    notes: &mut Notes,
) -> Result<(), Refused> {
    // Before 2.4 the field was an extension of some build backends with another meaning of the path.
    if !is_at_least_2_4(metadata.metadata_version()) {
        return Ok(());
    }
    for path in metadata.license_files() {
        if present(path) {
            continue;
        }
        let fault = || format!("the license file '{}' is not in '{}'", excerpt(path), excerpt(place));
        match limits.license_files {
            LicenseFilePolicy::Warn => notes.add(fault),
            LicenseFilePolicy::Reject => {
                let advice = "include it, or drop the License-File field";
                return Err(archive_fault(format!("{}; {advice}", fault())));
            }
        }
    }
    Ok(())
}

fn is_at_least_2_4(metadata_version: &str) -> bool {
    let (major, minor) = metadata_version.split_once('.').unwrap_or((metadata_version, "0"));
    match (major.parse::<u32>(), minor.parse::<u32>()) {
        (Ok(major), Ok(minor)) => (major, minor) >= (2, 4),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_numbers_not_text() {
        for version in ["2.4", "2.10", "3.0"] {
            assert!(is_at_least_2_4(version), "{version}");
        }
        for version in ["1.0", "2.1", "2.3", "2", ""] {
            assert!(!is_at_least_2_4(version), "{version}");
        }
    }
}
