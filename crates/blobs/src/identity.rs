//! The text that tells one store from every other.

use std::io;

use crate::ObjectKey;

/// Where it is kept, beside the objects.
pub(crate) const IDENTITY: &str = "larder-store";

/// A new one, as the file holds it.
pub(crate) fn random() -> String {
    format!("{}\n", ObjectKey::random())
}

/// What the file says.
pub(crate) fn parse(text: &str) -> io::Result<String> {
    match text.trim_end().parse::<ObjectKey>() {
        Ok(key) => Ok(key.to_string()),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "the file {IDENTITY} in the blob store does not hold the store's name; restore it from a backup"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = random();
        assert_eq!(format!("{}\n", parse(&text).unwrap()), text);
        for damaged in ["", "larder", &text[1..]] {
            assert_eq!(parse(damaged).unwrap_err().kind(), io::ErrorKind::InvalidData, "{damaged}");
        }
    }
}
