//! Scopes of the token protocol: whatever comes, reading them ends and what is read stays within bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let list = access::scope::parse_list([text]);
    assert!(list.scopes.len() <= access::scope::MAXIMUM_SCOPES);
    for scope in &list.scopes {
        if let access::ScopeKind::Repository(name) = &scope.kind {
            let again = format!("repository:{name}:{}", scope.actions);
            let read = access::scope::parse_list([again.as_str()]);
            assert!(read.scopes.contains(scope), "{again} does not come back");
        }
    }
});
