//! The upload form, version 1 of the protocol that distutils began: what its text fields say, apart from the
//! file. The file speaks for itself; what the form repeats of its metadata only has to agree.

use crate::{Code, Distribution, Invalid, Kind, ProjectName, Version, excerpt};

/// The one action that uploads a file.
const UPLOAD: &str = "file_upload";
/// Actions of times before the file was sent along; nothing does them any more.
const RETIRED: &[&str] = &["submit", "submit_pkg_info", "doc_upload", "remove_pkg", "verify"];
/// The value that old tools send for a field that has none.
const NO_VALUE: &str = "UNKNOWN";

/// Hashes of the file as it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256.
    pub sha256: [u8; 32],
    /// `BLAKE2b` with 32 bytes of output.
    pub blake2b_256: [u8; 32],
    /// MD5, which old clients send to guard against broken transfers, and which guards against nothing else.
    pub md5: [u8; 16],
}

/// The fields of a form that decide anything. Their number and length are bounded by whoever reads the form.
#[derive(Debug, Clone, Default)]
pub struct UploadForm {
    action: Option<String>,
    protocol_version: Option<String>,
    filetype: Option<String>,
    name: Option<String>,
    version: Option<String>,
    sha256: Option<String>,
    blake2b_256: Option<String>,
    md5: Option<String>,
    attestations: Option<String>,
    /// A field that decides something and came more than once with different values.
    contradictory: Option<&'static str>,
}

impl UploadForm {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a field. Fields that decide nothing, and values that stand for none, are dropped.
    pub fn add(&mut self, name: &str, value: &str) {
        let (known, slot) = match name {
            ":action" => (":action", &mut self.action),
            "protocol_version" => ("protocol_version", &mut self.protocol_version),
            "filetype" => ("filetype", &mut self.filetype),
            "name" => ("name", &mut self.name),
            "version" => ("version", &mut self.version),
            "sha256_digest" => ("sha256_digest", &mut self.sha256),
            "blake2_256_digest" => ("blake2_256_digest", &mut self.blake2b_256),
            "md5_digest" => ("md5_digest", &mut self.md5),
            "attestations" => ("attestations", &mut self.attestations),
            _ => return,
        };
        let value = value.trim();
        if value.is_empty() || value == NO_VALUE {
            return;
        }
        match slot {
            Some(before) if before != value => self.contradictory = Some(known),
            Some(_) => {}
            None => *slot = Some(value.to_owned()),
        }
    }

    /// An action that nothing does any more, if the form asks for one.
    pub fn retired_action(&self) -> Option<&str> {
        self.action.as_deref().filter(|action| RETIRED.contains(action))
    }

    /// The form asks for an upload, in the version of the protocol that there is.
    pub fn check_action(&self) -> Result<(), Invalid> {
        if let Some(field) = self.contradictory {
            return Err(invalid(format!("{field}: two different values; send the field once")));
        }
        match self.action.as_deref() {
            Some(UPLOAD) => {}
            Some(other) => {
                return Err(invalid(format!(
                    ":action '{}' is not understood; this endpoint takes {UPLOAD}",
                    excerpt(other)
                )));
            }
            None => return Err(invalid(format!("the form has no :action; send :action={UPLOAD}"))),
        }
        match self.protocol_version.as_deref() {
            None | Some("1") => Ok(()),
            Some(other) => Err(invalid(format!(
                "protocol_version '{}' is not understood; this endpoint speaks version 1",
                excerpt(other)
            ))),
        }
    }

    /// The kind of file that the form announces.
    pub fn kind(&self) -> Result<Kind, Invalid> {
        let Some(filetype) = &self.filetype else {
            return Err(Invalid::new(Code::FileType, "the form has no filetype; send bdist_wheel or sdist"));
        };
        filetype.parse()
    }

    /// Every digest that the form has is that of the file, and it has one.
    pub fn check_digests(&self, actual: &Digests) -> Result<(), Invalid> {
        let supplied = [
            ("sha256", &self.sha256, &actual.sha256[..]),
            ("blake2_256", &self.blake2b_256, &actual.blake2b_256[..]),
            ("md5", &self.md5, &actual.md5[..]),
        ];
        let mut checked = false;
        for (name, supplied, actual) in supplied {
            let Some(supplied) = supplied else { continue };
            let Ok(supplied) = hex::decode(supplied) else {
                return Err(Invalid::new(
                    Code::Digest,
                    format!("{name}_digest is not a digest in hexadecimal digits: '{}'", excerpt(supplied)),
                ));
            };
            if supplied != actual {
                return Err(Invalid::new(
                    Code::Digest,
                    format!(
                        "The digest supplied does not match the uploaded file ({name}); it was damaged on its \
                         way, upload it again"
                    ),
                ));
            }
            checked = true;
        }
        if checked {
            return Ok(());
        }
        Err(Invalid::new(
            Code::Digest,
            "the form has no digest of the file; send sha256_digest or blake2_256_digest",
        ))
    }

    /// What the form says of name and version is what the file says.
    pub fn check_identity(&self, distribution: &Distribution) -> Result<(), Invalid> {
        let metadata = &distribution.metadata;
        let name: ProjectName =
            self.name.as_deref().ok_or_else(|| invalid("the form has no name"))?.parse()?;
        if name.normalized() != metadata.name().normalized() {
            return Err(Invalid::new(
                Code::NameMismatch,
                format!(
                    "METADATA Name '{}' does not match '{}', which the form says",
                    excerpt(metadata.name().as_str()),
                    excerpt(name.as_str())
                ),
            ));
        }
        let version: Version =
            self.version.as_deref().ok_or_else(|| invalid("the form has no version"))?.parse()?;
        if version != *metadata.version() {
            return Err(Invalid::new(
                Code::VersionMismatch,
                format!("the form says version {version}, METADATA says {}", metadata.version()),
            ));
        }
        Ok(())
    }

    /// The attestations that came along, as JSON (PEP 740).
    pub fn attestations(&self) -> Option<&str> {
        self.attestations.as_deref()
    }
}

fn invalid(message: impl Into<String>) -> Invalid {
    Invalid::new(Code::Form, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTUAL: Digests = Digests { sha256: [0xab; 32], blake2b_256: [2; 32], md5: [3; 16] };

    fn form(fields: &[(&str, &str)]) -> UploadForm {
        let mut form = UploadForm::new();
        for (name, value) in fields {
            form.add(name, value);
        }
        form
    }

    #[test]
    fn the_action_is_to_upload() {
        assert!(form(&[(":action", "file_upload")]).check_action().is_ok());
        assert!(form(&[(":action", "file_upload"), ("protocol_version", "1")]).check_action().is_ok());
        for fields in [
            &[][..],
            &[(":action", "dance")][..],
            &[(":action", "file_upload"), ("protocol_version", "2")][..],
            &[(":action", "file_upload"), (":action", "submit")][..],
        ] {
            assert_eq!(form(fields).check_action().unwrap_err().code, Code::Form, "{fields:?}");
        }
        assert_eq!(form(&[(":action", "submit")]).retired_action(), Some("submit"));
        assert_eq!(form(&[(":action", "file_upload")]).retired_action(), None);
    }

    #[test]
    fn every_digest_that_is_there_counts() {
        let (good, other) = ("AB".repeat(32), "cd".repeat(32));
        assert!(form(&[("sha256_digest", &good)]).check_digests(&ACTUAL).is_ok());
        assert!(form(&[("md5_digest", &"03".repeat(16))]).check_digests(&ACTUAL).is_ok());
        for fields in [
            &[][..],
            &[("sha256_digest", other.as_str())][..],
            &[("sha256_digest", good.as_str()), ("blake2_256_digest", other.as_str())][..],
            &[("sha256_digest", "abab")][..],
            &[("sha256_digest", "not hexadecimal")][..],
            &[("sha256_digest", "UNKNOWN")][..],
        ] {
            assert_eq!(form(fields).check_digests(&ACTUAL).unwrap_err().code, Code::Digest, "{fields:?}");
        }
    }

    #[test]
    fn the_kind_is_one_of_two() {
        assert_eq!(form(&[("filetype", "sdist")]).kind().unwrap(), Kind::Sdist);
        assert_eq!(form(&[("filetype", "bdist_wheel")]).kind().unwrap(), Kind::Wheel);
        assert_eq!(form(&[("filetype", "bdist_egg")]).kind().unwrap_err().code, Code::FileType);
        assert_eq!(form(&[]).kind().unwrap_err().code, Code::FileType);
    }
}
