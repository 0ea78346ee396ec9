//! The two kinds of range on the wire: `Range` on downloads (RFC 9110, section 14) and `Content-Range` on
//! upload chunks, which has its own grammar (OCI distribution-spec, "Pushing a blob in chunks").

use crate::excerpt::excerpt;

/// What a `Range` header asks of content whose size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// Send everything (200): the header is not for us, is malformed, or asks for several ranges.
    Full,
    /// Send these bytes (206). Both ends count, and `first <= last < size`.
    Partial {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte.
        last: u64,
    },
    /// Nothing can be sent (416).
    Unsatisfiable,
}

impl ByteRange {
    /// Reads a `Range` header for content of `size` bytes.
    ///
    /// Where RFC 9110 leaves a choice: several ranges and other units are answered in full, a range whose end
    /// lies before its start is unsatisfiable, and empty content is sent in full to whoever asks for it from
    /// its beginning (there is no `Content-Range` that could describe it).
    pub fn parse(header: &str, size: u64) -> Self {
        let Some((unit, specification)) = header.split_once('=') else {
            return Self::Full;
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Full;
        }
        // A comma (several ranges) is not a digit, so it ends in `Full` below.
        let Some((first, last)) = specification.trim().split_once('-') else {
            return Self::Full;
        };
        match (offset(first), offset(last)) {
            (Offset::Absent, Offset::Value(suffix)) => Self::suffix(suffix, size),
            (Offset::Value(first), Offset::Absent) => Self::between(first, u64::MAX, size),
            (Offset::Value(first), Offset::Value(last)) => Self::between(first, last, size),
            _ => Self::Full,
        }
    }

    fn suffix(length: u64, size: u64) -> Self {
        match (length, size) {
            (0, _) => Self::Unsatisfiable,
            (_, 0) => Self::Full,
            _ => Self::Partial { first: size.saturating_sub(length), last: size - 1 },
        }
    }

    fn between(first: u64, last: u64, size: u64) -> Self {
        if last < first {
            Self::Unsatisfiable
        } else if first < size {
            Self::Partial { first, last: last.min(size - 1) }
        } else if first == 0 {
            Self::Full
        } else {
            Self::Unsatisfiable
        }
    }
}

enum Offset {
    Absent,
    Value(u64),
    Malformed,
}

/// Numbers beyond 64 bits are legal in the grammar and larger than anything stored, so they saturate.
fn offset(text: &str) -> Offset {
    if text.is_empty() {
        Offset::Absent
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        Offset::Value(text.parse().unwrap_or(u64::MAX))
    } else {
        Offset::Malformed
    }
}

/// A `Content-Range` that does not have the form `<first>-<last>`; answered 416.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "content-range \"{value}\" is not understood: send <first>-<last>, both byte offsets, without a unit"
)]
pub struct ContentRangeError {
    /// The offending header, already made harmless by [`excerpt`].
    pub value: String,
}

/// The place of an upload chunk inside the blob, from its `Content-Range` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// Offset of the chunk's first byte.
    pub first: u64,
    /// Offset of the chunk's last byte, never before `first`. Some clients send an exclusive end: trust the
    /// bytes that arrive, and only `first` of the range.
    pub last: u64,
}

impl ContentRange {
    /// Reads `^[0-9]+-[0-9]+$`.
    pub fn parse(header: &str) -> Result<Self, ContentRangeError> {
        let number = |text: &str| -> Option<u64> {
            // `u64::from_str` alone would take a leading plus.
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        };
        header
            .split_once('-')
            .and_then(|(first, last)| Some(Self { first: number(first)?, last: number(last)? }))
            .filter(|range| range.first <= range.last)
            .ok_or_else(|| ContentRangeError { value: excerpt(header) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partial(first: u64, last: u64) -> ByteRange {
        ByteRange::Partial { first, last }
    }

    #[test]
    fn ranges_of_a_blob_of_2048_bytes() {
        for (header, expected) in [
            ("bytes=500-1499", partial(500, 1499)),
            ("bytes=500-", partial(500, 2047)),
            ("bytes=-500", partial(1548, 2047)),
            ("bytes=-5000", partial(0, 2047)),
            ("bytes=2000-5000", partial(2000, 2047)),
            ("bytes=0-0", partial(0, 0)),
            ("Bytes = 1-2 ", partial(1, 2)),
            ("bytes=0-99999999999999999999999", partial(0, 2047)),
            ("bytes=500-0", ByteRange::Unsatisfiable),
            ("bytes=5000-10000", ByteRange::Unsatisfiable),
            ("bytes=2048-", ByteRange::Unsatisfiable),
            ("bytes=-0", ByteRange::Unsatisfiable),
            ("bytes=99999999999999999999999-", ByteRange::Unsatisfiable),
            ("bytes=0-1,5-6", ByteRange::Full),
            ("bytes=5-,0-1", ByteRange::Full),
            ("items=0-1", ByteRange::Full),
            ("bytes=", ByteRange::Full),
            ("bytes=-", ByteRange::Full),
            ("bytes=a-b", ByteRange::Full),
            ("bytes=+1-2", ByteRange::Full),
            ("bytes=1-2-3", ByteRange::Full),
            ("", ByteRange::Full),
        ] {
            assert_eq!(ByteRange::parse(header, 2048), expected, "{header}");
        }
    }

    #[test]
    fn ranges_of_an_empty_blob() {
        assert_eq!(ByteRange::parse("bytes=0-", 0), ByteRange::Full);
        assert_eq!(ByteRange::parse("bytes=0-99", 0), ByteRange::Full);
        assert_eq!(ByteRange::parse("bytes=-5", 0), ByteRange::Full);
        assert_eq!(ByteRange::parse("bytes=1-", 0), ByteRange::Unsatisfiable);
    }

    #[test]
    fn upload_ranges() {
        assert_eq!(ContentRange::parse("0-0").unwrap(), ContentRange { first: 0, last: 0 });
        assert_eq!(ContentRange::parse("1024-2047").unwrap(), ContentRange { first: 1024, last: 2047 });
        for header in [
            "",
            "-",
            "0-",
            "-1",
            "0--1",
            "bytes 0-1",
            "0-1/2",
            " 0-1",
            "+0-1",
            "2-1",
            "0-99999999999999999999",
        ] {
            assert!(ContentRange::parse(header).is_err(), "{header}");
        }
    }

    proptest! {
        #[test]
        fn partial_ranges_lie_inside(header in "bytes=[0-9]{0,4}-[0-9]{0,4}", size in 0_u64..3000) {
            if let ByteRange::Partial { first, last } = ByteRange::parse(&header, size) {
                prop_assert!(first <= last && last < size);
            }
        }

        #[test]
        fn never_panics(header in any::<String>(), size in any::<u64>()) {
            let _ = ByteRange::parse(&header, size);
            let _ = ByteRange::parse(&format!("bytes={header}"), size);
            let _ = ContentRange::parse(&header);
        }

        #[test]
        fn upload_ranges_round_trip(first in any::<u64>(), length in 0_u64..1_000_000) {
            let last = first.saturating_add(length);
            prop_assert_eq!(ContentRange::parse(&format!("{first}-{last}")), Ok(ContentRange { first, last }));
        }
    }
}
