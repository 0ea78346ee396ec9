//! Paths and queries: `METHOD target` in one line of text. A path that names a repository routes to that repository
//! and to no other, and every refusal is the client's fault.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use oci::Call;

fuzz_target!(|text: &str| {
    let Some((method, target)) = text.split_once(' ') else { return };
    let Ok(method) = method.parse::<Method>() else { return };
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    match Call::parse(&method, path, query) {
        Ok(call) => {
            if let Some(name) = call.repository() {
                // Encoding may hide the name in the path, but nothing shorter than the name can hold it.
                assert!(path.len() > name.as_str().len());
                assert!(path.contains('%') || path.contains(name.as_str()));
            }
        }
        Err(error) => {
            assert!((400..500).contains(&error.status()));
            assert!(!error.to_string().contains(char::is_control));
        }
    }
});
