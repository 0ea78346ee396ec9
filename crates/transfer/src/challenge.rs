//! `WWW-Authenticate` (RFC 9110, section 11.6.1), as far as registries use it.

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password with each request (RFC 7617).
    Basic,
    /// A token from a token service (distribution, "Token Authentication Specification").
    Bearer {
        /// Where the service is.
        realm: String,
        /// What the service calls this registry.
        service: Option<String>,
        /// What the token has to allow, separated by spaces.
        scope: Option<String>,
    },
}

/// The challenges of one header field that can be met here; others are left out.
pub(crate) fn parse(field: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = field;
    while let Some((scheme, parameters, after)) = next(rest) {
        rest = after;
        let value = |name: &str| {
            let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
            parameters.iter().find(same).map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = value("realm")
        {
            found.push(Challenge::Bearer { realm, service: value("service"), scope: value("scope") });
        }
    }
    found
}

type Parameters = Vec<(String, String)>;

/// One scheme with its parameters, and what follows.
fn next(text: &str) -> Option<(&str, Parameters, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let (scheme, mut rest) = token(text)?;
    let mut parameters = Vec::new();
    loop {
        let start = rest.trim_start_matches([' ', '\t', ',']);
        let Some((name, after)) = token(start) else { break };
        let Some(after) = after.trim_start().strip_prefix('=') else { break };
        let Some((value, after)) = value(after.trim_start()) else { break };
        parameters.push((name.to_owned(), value));
        rest = after;
    }
    // Something that is neither a parameter nor a scheme would be found again and again.
    let rest = rest.trim_start_matches([' ', '\t', ',']);
    let rest = if token(rest).is_some() { rest } else { "" };
    Some((scheme, parameters, rest))
}

fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let length = text.bytes().take_while(|byte| is_token(*byte)).count();
    (length > 0).then(|| text.split_at(length))
}

fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return token(text).map(|(value, rest)| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn what_registries_send() {
        let field =
            r#"Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push""#;
        let expected = bearer("https://auth.example/token", Some("r"), Some("repository:a/b:pull,push"));
        assert_eq!(parse(field), [expected]);
        assert_eq!(parse("Basic realm=\"x\""), [Challenge::Basic]);
        assert_eq!(parse("basic"), [Challenge::Basic]);
        let both = parse(r#"Negotiate, bearer realm=https, Basic realm="a, b\"c""#);
        assert_eq!(both, [bearer("https", None, None), Challenge::Basic]);
        assert_eq!(parse("Bearer service=\"r\""), []);
        assert_eq!(parse("Bearer realm=\"unfinished"), []);
    }

    proptest! {
        #[test]
        fn never_panics_and_ends(field in any::<String>()) {
            parse(&field);
        }

        #[test]
        fn quoted_values_survive(value in "[ -~]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let field = format!("Bearer realm=\"{quoted}\", service=s");
            prop_assert_eq!(parse(&field), [bearer(&value, Some("s"), None)]);
        }
    }
}
