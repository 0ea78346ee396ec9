//! Conditional requests (RFC 9110, section 13.1.2). The entity tag of everything served by digest is the
//! digest.

use crate::digest::Digest;

/// Whether an `If-None-Match` header names this digest, so that the answer is 304. Takes a list, weak and
/// strong tags, `*`, and the bare digest without quotes that some clients send.
pub fn if_none_match(header: &str, digest: &Digest) -> bool {
    let mut rest = header.trim();
    if rest == "*" {
        return true;
    }
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return false;
        }
        let opaque = rest.strip_prefix("W/").unwrap_or(rest);
        // Quotes first: a comma inside them does not end the tag.
        let (tag, after) = match opaque.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => opaque.split_once(',').unwrap_or((opaque, "")),
        };
        if tag.trim_end() == digest.as_str() {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Algorithm;

    #[test]
    fn forms_that_match() {
        let digest = Digest::of(Algorithm::Sha256, b"content");
        for header in [
            "*".to_owned(),
            format!("\"{digest}\""),
            format!("W/\"{digest}\""),
            digest.to_string(),
            format!(" \"other\", \"{digest}\" "),
            format!("other,{digest} , third"),
            format!("\"a,b\",W/\"{digest}\""),
        ] {
            assert!(if_none_match(&header, &digest), "{header}");
        }
    }

    #[test]
    fn forms_that_do_not_match() {
        let digest = Digest::of(Algorithm::Sha256, b"content");
        let other = Digest::of(Algorithm::Sha256, b"other");
        for header in [
            String::new(),
            "\"".to_owned(),
            "*, x".to_owned(),
            format!("\"{other}\""),
            format!("\"{digest}-gzip\""),
            format!("\"x,{digest},y\""),
        ] {
            assert!(!if_none_match(&header, &digest), "{header}");
        }
    }

    proptest! {
        #[test]
        fn ends_for_any_header(header in any::<String>()) {
            let digest = Digest::of(Algorithm::Sha256, b"content");
            let _ = if_none_match(&header, &digest);
            let listed = format!("\"{}\", \"{digest}\"", header.replace('"', ""));
            prop_assert!(if_none_match(&listed, &digest));
        }
    }
}
