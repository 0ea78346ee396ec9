//! Mail: `[mail]`. Without it nothing is sent, and an administrator resets passwords.

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::secret::mask_url;

/// The server that takes our mail.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MailSettings {
    /// `smtps://user:password@host` (TLS from the first byte), or `smtp://user:password@host` (STARTTLS, which a
    /// server on this machine need not offer); empty to send none.
    #[serde(serialize_with = "mask_url")]
    pub(super) url: SecretString,
    /// The sender: `larder@example.org`, or `Larder <larder@example.org>`.
    pub(super) from: String,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self { url: SecretString::from(""), from: String::new() }
    }
}

impl MailSettings {
    /// Whether mail can be sent.
    pub(super) fn is_configured(&self) -> bool {
        !self.url.expose_secret().is_empty()
    }

    /// As the sign-in takes them.
    pub(super) fn settings(&self, public_url: &str) -> Option<auth::MailSettings> {
        self.is_configured().then(|| auth::MailSettings {
            url: self.url.clone(),
            from: self.from.clone(),
            public_url: public_url.to_owned(),
        })
    }

    pub(super) fn check(&self, public_url: &str) -> anyhow::Result<()> {
        if !self.is_configured() {
            anyhow::ensure!(
                self.from.is_empty(),
                "mail.from is set and mail.url is not; name the server that takes the mail, such as smtps://user:password@mail.example.org"
            );
            return Ok(());
        }
        // The URL itself holds a password, so no message repeats it.
        let url = url::Url::parse(self.url.expose_secret())
            .context("mail.url is not a URL; it is one such as smtps://user:password@mail.example.org")?;
        anyhow::ensure!(
            matches!(url.scheme(), "smtp" | "smtps") && url.host_str().is_some_and(|host| !host.is_empty()),
            "mail.url names no mail server; it is a URL such as smtps://user:password@mail.example.org"
        );
        anyhow::ensure!(
            is_sender(&self.from),
            "mail.from = {:?} is no sender; it is an address such as larder@example.org",
            self.from
        );
        // What a request says of its host may be made up, and the link in a mail would lead there.
        anyhow::ensure!(
            !public_url.is_empty(),
            "mail.url is set and server.public_url is not; the links in mails begin with it"
        );
        Ok(())
    }
}

/// `local@domain`, or a name with that in angle brackets.
fn is_sender(text: &str) -> bool {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let is_plain = |character: char| !character.is_whitespace() && !character.is_control();
    !text.contains(['\r', '\n'])
        && address.chars().all(is_plain)
        && address.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, from: &str, public_url: &str) -> Result<(), String> {
        let settings = MailSettings { url: SecretString::from(url), from: from.to_owned() };
        settings.check(public_url).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_can_be_sent_with_is_taken() {
        for (url, from) in [
            ("", ""),
            ("smtp://localhost:2525", "larder@example.org"),
            ("smtps://larder:hunter2@mail.example.org", "Larder <larder@example.org>"),
        ] {
            check(url, from, "https://registry.example.org").unwrap();
        }
    }

    #[test]
    fn what_cannot_be_sent_with_is_refused_without_the_password() {
        for (url, from, public_url, part) in [
            ("", "larder@example.org", "https://r", "mail.url is not"),
            ("https://user:hunter2@mail.example.org", "a@b", "https://r", "names no mail server"),
            ("smtp://", "a@b", "https://r", "mail.url"),
            ("hunter2@mail.example.org", "a@b", "https://r", "mail.url is not a URL"),
            ("smtp://mail", "", "https://r", "mail.from"),
            ("smtp://mail", "larder", "https://r", "mail.from"),
            ("smtp://mail", "Larder <larder@example.org", "https://r", "mail.from"),
            ("smtp://mail", "a@b\r\nBcc: c@d", "https://r", "mail.from"),
            ("smtp://mail", "a@b", "", "server.public_url"),
        ] {
            let error = check(url, from, public_url).unwrap_err();
            assert!(error.contains(part), "{url} {from}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
