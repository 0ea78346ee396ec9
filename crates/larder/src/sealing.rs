//! The key that seals what is stored and must be read again: keys that sign, secrets of second factors. It comes
//! from the configuration, or lies in a file beside the embedded database.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

/// Bytes of a key.
const LENGTH: usize = 32;
/// The file, beside the database.
const FILE: &str = "sealing.key";
/// More than any key has: a file of another kind is not read to its end.
const LONGEST_FILE: u64 = 1024;
/// Anybody on the machine.
const OTHERS: u32 = 0o007;

/// A new key, in the form that the configuration has.
pub(crate) fn generate() -> anyhow::Result<SecretString> {
    let mut key = [0_u8; LENGTH];
    getrandom::fill(&mut key).context("the operating system gives no random numbers")?;
    Ok(SecretString::from(STANDARD.encode(key)))
}

/// The bytes of a key in that form. The error does not repeat what was given.
pub(crate) fn parse(text: &SecretString) -> anyhow::Result<[u8; LENGTH]> {
    let bytes = STANDARD.decode(text.expose_secret().trim()).ok();
    // One byte over and over is what somebody writes who only wants to get past this line.
    bytes
        .and_then(|bytes| <[u8; LENGTH]>::try_from(bytes).ok())
        .filter(|key| key.iter().any(|byte| *byte != key[0]))
        .with_context(|| {
            format!("expected {LENGTH} random bytes in base64, as `larder config new-key` prints them")
        })
}

/// The key in the file of a folder, which is made when it is not there. Two programs that make it at once come to
/// the same one.
pub(crate) fn read_or_make(folder: &Path) -> anyhow::Result<SecretString> {
    let path = folder.join(FILE);
    if let Some(key) = read(&path)? {
        return Ok(key);
    }
    make(folder, &path).with_context(|| {
        format!("cannot make the sealing key {}; check that its folder may be written", path.display())
    })?;
    read(&path)?.with_context(|| format!("the sealing key {} is gone again", path.display()))
}

fn read(path: &Path) -> anyhow::Result<Option<SecretString>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read the sealing key {}", path.display()));
        }
    };
    let reading = || format!("cannot read the sealing key {}", path.display());
    // The group is left alone: platforms that mount volumes give them to a group of their own.
    anyhow::ensure!(
        file.metadata().with_context(reading)?.permissions().mode() & OTHERS == 0,
        "the sealing key {} can be read by everybody on this machine; run `chmod 600 {}`, and consider making \
         another key if somebody may have read it",
        path.display(),
        path.display()
    );
    let mut text = String::new();
    file.take(LONGEST_FILE).read_to_string(&mut text).with_context(reading)?;
    let key = SecretString::from(text.trim());
    parse(&key).with_context(|| {
        format!("the sealing key {} is damaged; bring it back from where it was kept", path.display())
    })?;
    Ok(Some(key))
}

/// Puts a whole key there, or none. One that somebody else has put there meanwhile stays.
fn make(folder: &Path, path: &Path) -> anyhow::Result<()> {
    // Nobody but the owner can read such a file from its beginning.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", generate()?.expose_secret())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => tracing::info!(
            path = %path.display(),
            "made a sealing key; keep a copy of it, but not where the backups are"
        ),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.error.into()),
    }
    File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_keys_differ_and_are_usable() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(parse(&one).unwrap(), parse(&other).unwrap());
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for text in ["", "hunter2", "aHVudGVyMg==", &"A".repeat(43), &STANDARD.encode([7; 32])] {
            let error = parse(&SecretString::from(text)).unwrap_err().to_string();
            assert!(error.contains("larder config new-key"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_folder_keeps_the_key_that_was_made_first() {
        let folder = tempfile::tempdir().unwrap();
        let key = read_or_make(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // As a second program would that did not find it a moment before.
        make(folder.path(), &path).unwrap();
        assert_eq!(read_or_make(folder.path()).unwrap().expose_secret(), key.expose_secret());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
    }

    #[test]
    fn a_file_that_cannot_be_trusted_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        read_or_make(folder.path()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_or_make(folder.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        read_or_make(folder.path()).unwrap();
        std::fs::write(&path, "cut off").unwrap();
        let error = format!("{:#}", read_or_make(folder.path()).unwrap_err());
        assert!(error.contains("is damaged"), "{error}");
        assert!(!error.contains("cut off"), "{error}");
    }
}
