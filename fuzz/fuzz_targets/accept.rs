//! Content negotiation: ends for any header, and what a client asks for by name with full weight is what it gets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use python::{Format, negotiate};

fuzz_target!(|text: &str| {
    // The first line is the header, the second the query parameter.
    let (accept, query) = text.split_once('\n').map_or((text, None), |(accept, query)| (accept, Some(query)));
    let chosen = negotiate(Some(accept), query);
    if query.is_some() {
        assert_eq!(chosen, negotiate(None, query), "the query parameter wins");
    }
    for format in Format::ALL {
        assert_eq!(negotiate(Some(accept), Some(format.content_type())), Some(format));
    }
    // In front of the rest, so that a quotation mark without its partner does not swallow it.
    let named = format!("{}, {accept}", Format::Json.content_type());
    assert_eq!(negotiate(Some(&named), None), Some(Format::Json));
});
