//! What an issuer says about itself (OpenID Connect Discovery 1.0).

use serde::Deserialize;

use super::egress::{Egress, EgressError, Outgoing, Reach};

/// Bytes of an issuer's address at the most.
const LONGEST_ISSUER: usize = 512;

/// The document, as far as it is used.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Document {
    issuer: String,
    pub(crate) jwks_uri: Option<String>,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) userinfo_endpoint: Option<String>,
    pub(crate) end_session_endpoint: Option<String>,
    /// Whether the issuer names itself where it sends browsers back to (RFC 9207 §3).
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(crate) names_itself: bool,
}

/// Fetches the document of an issuer, and believes it only when it is about that issuer: byte for byte
/// (OpenID Connect Discovery 1.0 §4.3).
pub(crate) async fn fetch(egress: &Egress, issuer: &str, reach: &Reach) -> Result<Document, EgressError> {
    check_issuer(issuer, reach).map_err(EgressError::NotAllowed)?;
    let url = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
    let body = egress.fetch(Outgoing::get(&url), reach).await?;
    let document: Document = serde_json::from_slice(&body)
        .map_err(|_| EgressError::Unusable("its discovery document is not one (OpenID Connect Discovery)"))?;
    if document.issuer == issuer {
        Ok(document)
    } else {
        Err(EgressError::Unusable("its discovery document names another issuer"))
    }
}

/// Whether this can be the address of an issuer that is asked: over TLS, unless the operator has named it.
pub(crate) fn check_issuer(issuer: &str, reach: &Reach) -> Result<(), &'static str> {
    check_issuer_url(issuer)?;
    if issuer.starts_with("https://") || reach.contains(issuer) {
        Ok(())
    } else {
        Err("expected an address that begins with https://")
    }
}

/// Whether this can be the address of an issuer: in the one form that has a single reading, so that what is
/// compared as text and what is asked over the network are the same. Whether it is asked at all, should it begin with
/// `http://`, is the operator's to say.
pub(crate) fn check_issuer_url(issuer: &str) -> Result<(), &'static str> {
    if issuer.len() > LONGEST_ISSUER {
        return Err("expected at most 512 bytes");
    }
    let Ok(url) = url::Url::parse(issuer) else {
        return Err("expected an address such as https://issuer.example.com");
    };
    let is_plain = url.as_str() == issuer || url.as_str().strip_suffix('/') == Some(issuer);
    if !is_plain {
        return Err(
            "expected an address in its normal form: lower case host, no default port, no dots as path",
        );
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected an address without a user name");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected an address without a query and a fragment");
    }
    match url.scheme() {
        "https" | "http" => Ok(()),
        _ => Err("expected an address that begins with https://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_issuers_have_one_reading() {
        let reach = Reach::of(["http://localhost:1234"]);
        for good in [
            "https://token.actions.githubusercontent.com",
            "https://gitlab.example.com",
            "https://example.auth0.com/",
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc",
            "https://host.example/realms/team",
            "https://oidc.circleci.com/org/5d2b5f0e-0000-4000-8000-000000000000",
            "http://localhost:1234",
            "http://localhost:1234/realms/team",
        ] {
            assert_eq!(check_issuer(good, &reach), Ok(()), "{good}");
        }
        for bad in [
            "",
            "issuer",
            "http://issuer.example.com",
            "http://localhost:1235",
            "ftp://issuer.example.com",
            "https://Issuer.example.com",
            "https://issuer.example.com:443",
            "https://issuer.example.com/a/../b",
            "https://issuer.example.com?x",
            "https://issuer.example.com/#x",
            "https://user@issuer.example.com",
            "https://user:secret@issuer.example.com",
            "https://2130706433",
            "https://0x7f.1",
            "https:/issuer.example.com",
            "https:\\\\issuer.example.com",
            " https://issuer.example.com",
            "https://issuer.example.com\n",
            "https://issuer.example.com/a b",
            "file:///etc/passwd",
        ] {
            assert!(check_issuer(bad, &reach).is_err(), "{bad}");
        }
        assert!(check_issuer(&format!("https://issuer.example.com/{}", "a".repeat(600)), &reach).is_err());
    }
}
