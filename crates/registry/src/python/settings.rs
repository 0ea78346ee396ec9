use python::{LicenseFilePolicy, Limits, RecordPolicy};
use serde::{Deserialize, Serialize};

/// What happens when an upload breaks a rule that not every build tool keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strictness {
    /// It is stored, and the file's record says what is odd.
    Warn,
    /// It is refused.
    Reject,
}

/// How a registry's Python index judges uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own that an administrator sets")]
pub struct PythonSettings {
    /// Whether file names have to be spelled in their normal form, as new uploads to the public index do.
    pub strict_filenames: bool,
    /// A RECORD that does not match the wheel's content. One that is missing is always refused.
    pub record: Strictness,
    /// A license file that METADATA names and the wheel does not hold.
    pub license_files: Strictness,
    /// Whether attestations are taken although nothing here verifies their signatures.
    pub store_unverified_attestations: bool,
    /// Whether a new project may be called almost as another one is.
    pub allow_similar_names: bool,
    /// Whether a new project may be called like a module of Python itself.
    pub allow_standard_library_names: bool,
    /// The largest file that is taken, in bytes.
    pub file_bytes: u64,
}

impl Default for PythonSettings {
    fn default() -> Self {
        Self {
            strict_filenames: false,
            record: Strictness::Reject,
            license_files: Strictness::Warn,
            store_unverified_attestations: false,
            allow_similar_names: false,
            allow_standard_library_names: false,
            file_bytes: 2 * 1024 * 1024 * 1024,
        }
    }
}

impl PythonSettings {
    pub(crate) fn to_json(self) -> String {
        serde_json::to_string(&self).expect("booleans, words and a number are JSON")
    }

    /// As the reader of archives takes them.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            record: match self.record {
                Strictness::Warn => RecordPolicy::Warn,
                Strictness::Reject => RecordPolicy::Reject,
            },
            license_files: match self.license_files {
                Strictness::Warn => LicenseFilePolicy::Warn,
                Strictness::Reject => LicenseFilePolicy::Reject,
            },
            ..Limits::default()
        }
    }
}

/// A change of the settings: what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PythonSettingsChange {
    /// Whether file names have to be spelled in their normal form.
    pub strict_filenames: Option<bool>,
    /// A RECORD that does not match.
    pub record: Option<Strictness>,
    /// A license file that is not there.
    pub license_files: Option<Strictness>,
    /// Whether attestations are taken unverified.
    pub store_unverified_attestations: Option<bool>,
    /// Whether similar names are taken.
    pub allow_similar_names: Option<bool>,
    /// Whether names of Python's own modules are taken.
    pub allow_standard_library_names: Option<bool>,
    /// The largest file that is taken, in bytes.
    pub file_bytes: Option<u64>,
}

impl PythonSettingsChange {
    /// The settings with this change.
    #[must_use]
    pub fn applied_to(self, before: PythonSettings) -> PythonSettings {
        PythonSettings {
            strict_filenames: self.strict_filenames.unwrap_or(before.strict_filenames),
            record: self.record.unwrap_or(before.record),
            license_files: self.license_files.unwrap_or(before.license_files),
            store_unverified_attestations: self
                .store_unverified_attestations
                .unwrap_or(before.store_unverified_attestations),
            allow_similar_names: self.allow_similar_names.unwrap_or(before.allow_similar_names),
            allow_standard_library_names: self
                .allow_standard_library_names
                .unwrap_or(before.allow_standard_library_names),
            file_bytes: self.file_bytes.unwrap_or(before.file_bytes),
        }
    }
}
