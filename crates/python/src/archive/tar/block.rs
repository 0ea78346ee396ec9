//! The header block of a tar member.

/// Everything in a tar file is padded to this many bytes.
pub(super) const BLOCK_BYTES: usize = 512;

/// What the header of each format has at the place of its name, the format's version included.
const USTAR: &[u8] = b"ustar\x0000";
const GNU: &[u8] = b"ustar  \0";

/// A header block with the right checksum.
pub(super) struct Block([u8; BLOCK_BYTES]);

impl Block {
    /// A header, if the checksum is right.
    pub(super) fn parse(bytes: &[u8; BLOCK_BYTES]) -> Option<Self> {
        is_header(bytes).then_some(Self(*bytes))
    }

    /// What kind of member this is.
    pub(super) fn type_flag(&self) -> u8 {
        self.0[156]
    }

    /// Whether the header is of a format that has extended headers.
    pub(super) fn may_be_extended(&self) -> bool {
        self.format().starts_with(USTAR) || self.format().starts_with(GNU)
    }

    fn format(&self) -> &[u8] {
        &self.0[257..]
    }

    /// The name; in the `ustar` format it may be in two parts.
    pub(super) fn name(&self) -> Result<Vec<u8>, &'static str> {
        let (name, prefix) = (text(&self.0[..100]), &self.0[345..500]);
        if self.format().starts_with(USTAR) {
            let prefix = text(prefix);
            return Ok(if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() });
        }
        // Some readers take these bytes for a part of the name in every format, others do not.
        if prefix.iter().any(|&byte| byte != 0) {
            return Err("a header has a name prefix in a format without one");
        }
        Ok(name.to_vec())
    }

    /// The target of a link.
    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    /// The size of the content, if it is well formed.
    pub(super) fn size(&self) -> Option<u64> {
        number(&self.0[124..136])
    }
}

/// Whether `bytes` are a header block with the right checksum. The checksum makes it practically impossible
/// that a file of another format passes by accident.
pub(in super::super) fn is_header(bytes: &[u8]) -> bool {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    if bytes.len() != BLOCK_BYTES {
        return false;
    }
    // The sum is taken with spaces in place of the checksum itself.
    let sum = |range: &[u8]| range.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let expected =
        sum(&bytes[..CHECKSUM.start]) + u64::from(b' ') * CHECKSUM.len() as u64 + sum(&bytes[CHECKSUM.end..]);
    number(&bytes[CHECKSUM]) == Some(expected)
}

/// A text field, which ends at the first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number: octal digits between optional spaces in front and zeros or spaces behind, or (for what does not
/// fit) a binary number with the first bit set.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((&0x80, binary)) = field.split_first() {
        let (upper, lower) = binary.split_last_chunk::<8>()?;
        return upper.iter().all(|&byte| byte == 0).then(|| u64::from_be_bytes(*lower));
    }
    let digits = field.trim_ascii_start();
    let length = digits.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(length);
    if rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        assert_eq!(number(b"00000000017\0"), Some(15));
        assert_eq!(number(b"      17 \0\0\0"), Some(15));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"777777777777"), Some((1 << 36) - 1));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(1 << 33));
        for malformed in [
            b"0000000001x\0".as_slice(),
            b"00000018\0\0\0\0",
            b"17\0\x0017\0\0\0\0",
            b"-1\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(number(malformed), None, "{malformed:?}");
        }
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None, "negative");
        assert_eq!(number(b"\x80\x01\0\0\0\0\0\0\0\0\0\0"), None, "more than 64 bits");
    }

    #[test]
    fn zeros_are_not_a_header() {
        assert!(!is_header(&[0; BLOCK_BYTES]));
        assert!(!is_header(&[]));
        assert!(!is_header(&[b' '; BLOCK_BYTES]));
    }
}
