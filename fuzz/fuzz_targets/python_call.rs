//! Paths of the Python index: `METHOD path` in one line of text. A path that goes on elsewhere goes on to a page, in
//! one step, and the registry that is asked for rights is the one that the call is about.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use python::call::{Call, Place, Target};

fuzz_target!(|text: &str| {
    let Some((method, path)) = text.split_once(' ') else { return };
    let Ok(method) = method.parse::<Method>() else { return };
    match Call::parse(&method, path) {
        Ok(call) => {
            assert_eq!(Place::find(path).as_ref(), Some(&call.place));
            assert!(!call.endpoint().is_empty());
            match &call.target {
                Target::Redirect { location } => {
                    assert!(location.starts_with("/api/v1/") && !location.contains(char::is_control));
                    let page = Call::parse(&method, location).expect("it leads somewhere");
                    assert_eq!(page.place, call.place);
                    assert!(matches!(page.target, Target::ProjectList | Target::Project { .. }));
                }
                Target::File(file) | Target::Metadata(file) => {
                    assert_eq!(file.sha256.len(), 64);
                    assert!(
                        !file.filename.contains(['/', '\\']) && !file.filename.contains(char::is_control)
                    );
                }
                _ => {}
            }
        }
        Err(error) => {
            assert_eq!(Place::find(path), error.place);
            assert!(!error.to_string().contains(char::is_control));
        }
    }
});
