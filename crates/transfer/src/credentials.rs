//! Who we are at a registry: given by the user, or remembered by `docker login` in its configuration file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// A name with its password or token.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account.
    pub username: String,
    /// Its password, or a token that stands for it.
    pub password: SecretString,
}

impl Credentials {
    /// As `Authorization: Basic` has it (RFC 7617).
    pub(crate) fn basic(&self) -> SecretString {
        let pair = format!("{}:{}", self.username, self.password.expose_secret());
        SecretString::from(format!("Basic {}", STANDARD.encode(pair)))
    }

    /// What `docker login` stored for `host`, if its file is there and holds the password itself.
    pub(crate) fn remembered(host: &str) -> Option<Self> {
        let text = std::fs::read_to_string(configuration_file()?).ok()?;
        find(&text, host)
    }
}

fn configuration_file() -> Option<PathBuf> {
    let directory = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let directory = directory.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".docker")))?;
    Some(directory.join("config.json"))
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    auths: HashMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
}

fn find(text: &str, host: &str) -> Option<Credentials> {
    let configuration: Configuration = serde_json::from_str(text).ok()?;
    let matches = |key: &str| {
        let key = key.split_once("://").map_or(key, |(_, rest)| rest);
        let key = key.split_once('/').map_or(key, |(host, _)| host);
        key == host || (key == "index.docker.io" && host == "registry-1.docker.io")
    };
    let entry = configuration.auths.iter().find(|(key, entry)| matches(key) && !entry.auth.is_empty())?.1;
    let pair = String::from_utf8(STANDARD.decode(&entry.auth).ok()?).ok()?;
    let (username, password) = pair.split_once(':')?;
    Some(Credentials { username: username.to_owned(), password: SecretString::from(password) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_login_writes() {
        let text = format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{}"}},"r.example:5000":{{"auth":"{}"}},"helper":{{}}}}}}"#,
            STANDARD.encode("hub:a:b"),
            STANDARD.encode("me:secret"),
        );
        let found = |host: &str| {
            find(&text, host).map(|found| (found.username, found.password.expose_secret().to_owned()))
        };
        assert_eq!(found("r.example:5000"), Some(("me".to_owned(), "secret".to_owned())));
        assert_eq!(found("registry-1.docker.io"), Some(("hub".to_owned(), "a:b".to_owned())));
        assert_eq!(found("helper"), None);
        assert_eq!(found("r.example"), None);
        assert!(find("no json", "r.example").is_none());
    }

    #[test]
    fn a_password_is_not_shown() {
        let me = Credentials { username: "me".to_owned(), password: SecretString::from("secret") };
        assert!(!format!("{me:?}").contains("secret"));
        assert_eq!(me.basic().expose_secret(), "Basic bWU6c2VjcmV0");
    }
}
