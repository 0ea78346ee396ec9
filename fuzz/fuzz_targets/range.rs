//! Ranges: what is to be sent lies inside the content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{ByteRange, ContentRange};

fuzz_target!(|input: (u64, &str)| {
    let (size, text) = input;
    for header in [text.to_owned(), format!("bytes={text}")] {
        if let ByteRange::Partial { first, last } = ByteRange::parse(&header, size) {
            assert!(first <= last && last < size);
        }
    }
    if let Ok(range) = ContentRange::parse(text) {
        assert!(range.first <= range.last);
    }
});
