//! How secrets are shown: that they are set, and nothing more.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize as _, Serializer};

const MASK: &str = "********";

pub(super) fn mask<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(masked(secret))
}

/// Each of several.
pub(super) fn mask_all<S: Serializer>(secrets: &[SecretString], serializer: S) -> Result<S::Ok, S::Error> {
    secrets.iter().map(masked).collect::<Vec<_>>().serialize(serializer)
}

fn masked(secret: &SecretString) -> &'static str {
    if secret.expose_secret().is_empty() { "" } else { MASK }
}

/// Shows where a URL leads, without the password in it.
pub(super) fn mask_url<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    let url = secret.expose_secret();
    let masked = url.split_once("://").and_then(|(scheme, rest)| {
        let (who, place) = rest.rsplit_once('@')?;
        let (user, _) = who.split_once(':')?;
        Some(format!("{scheme}://{user}:{MASK}@{place}"))
    });
    serializer.serialize_str(masked.as_deref().unwrap_or(url))
}
