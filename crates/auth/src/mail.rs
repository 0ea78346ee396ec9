//! Mail: letters that are put into a queue and handed to a mail server beside the request.
//!
//! Nobody waits for the mail server: how long an answer takes must not tell whether a letter was written. What
//! lies in the queue when the program ends is lost, and whoever waits for it asks again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use tokio::sync::{Semaphore, mpsc};

use crate::{AccountError, Auth, MailSettings, OpenError};

pub(crate) mod letters;

/// Letters that may wait.
const QUEUE: usize = 1000;
/// Connections to the mail server at a time.
const CONNECTIONS: usize = 4;
/// How long one step of a delivery may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Pauses before a delivery that failed is tried again.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(15), Duration::from_mins(1)];
/// Characters of a subject at the most.
const LONGEST_SUBJECT: usize = 150;

/// One letter. Its text may hold a secret, so it is never logged.
#[derive(Clone)]
pub(crate) struct Letter {
    pub(crate) to: Address,
    pub(crate) subject: String,
    pub(crate) text: String,
}

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// The queue of letters.
pub(crate) struct Mailer {
    queue: mpsc::Sender<Letter>,
    public_url: String,
    #[cfg(test)]
    kept: Option<parking_lot::Mutex<Vec<Letter>>>,
}

impl Mailer {
    pub(crate) fn new(settings: &MailSettings) -> Result<Self, OpenError> {
        let public_url = settings.public_url.trim_end_matches('/').to_owned();
        let (queue, letters) = mpsc::channel(QUEUE);
        #[cfg(test)]
        if settings.url.expose_secret() == "kept:" {
            return Ok(Self { queue, public_url, kept: Some(parking_lot::Mutex::default()) });
        }
        let sender: Mailbox = settings
            .from
            .parse()
            .map_err(|_| OpenError::Mail("mail.from is no address such as larder@example.org".to_owned()))?;
        tokio::spawn(deliver(letters, transport(settings)?, sender));
        Ok(Self {
            queue,
            public_url,
            #[cfg(test)]
            kept: None,
        })
    }

    /// Puts a letter into the queue. When that is full the letter is dropped and the log says so.
    pub(crate) fn post(&self, letter: Letter) {
        #[cfg(test)]
        if let Some(kept) = &self.kept {
            kept.lock().push(letter);
            return;
        }
        if self.queue.try_send(letter).is_err() {
            tracing::warn!("a letter was dropped because too many wait for the mail server");
        }
    }

    /// A link to a page of ours.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> Vec<Letter> {
        self.kept.as_ref().map(|kept| kept.lock().clone()).unwrap_or_default()
    }
}

/// The way to the mail server that the settings name. No message repeats the URL: it holds a password.
fn transport(settings: &MailSettings) -> Result<Smtp, OpenError> {
    let unusable = |reason: &str| OpenError::Mail(reason.to_owned());
    let url = url::Url::parse(settings.url.expose_secret())
        .map_err(|_| unusable("mail.url is no URL such as smtps://user:password@mail.example.org"))?;
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| unusable("mail.url names no mail server"))?.trim_matches(['[', ']']);
    let tls = TlsParameters::new(host.to_owned()).map_err(|error| unusable(&error.to_string()))?;
    let (tls, port) = match url.scheme() {
        "smtps" => (Tls::Wrapper(tls), 465),
        // Nobody listens between two programs of one machine.
        "smtp" if is_this_machine(host) => (Tls::Opportunistic(tls), 25),
        "smtp" => (Tls::Required(tls), 587),
        _ => return Err(unusable("mail.url begins neither with smtps:// nor with smtp://")),
    };
    let mut builder =
        Smtp::builder_dangerous(host).port(url.port().unwrap_or(port)).tls(tls).timeout(Some(TIMEOUT));
    if !url.username().is_empty() {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let password = decode(url.password().unwrap_or_default());
        builder = builder.credentials(Credentials::new(decode(url.username()), password));
    }
    Ok(builder.build())
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Hands letters over until the queue is closed.
async fn deliver(mut letters: mpsc::Receiver<Letter>, smtp: Smtp, sender: Mailbox) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    while let Some(letter) = letters.recv().await {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let (smtp, sender) = (smtp.clone(), sender.clone());
        tokio::spawn(async move {
            let _permit = permit;
            hand_over(&smtp, sender, letter).await;
        });
    }
}

async fn hand_over(smtp: &Smtp, sender: Mailbox, letter: Letter) {
    let message = Message::builder()
        .from(sender)
        .to(Mailbox::new(None, letter.to))
        .subject(letter.subject)
        .header(ContentType::TEXT_PLAIN)
        .body(letter.text);
    let message = match message {
        Ok(message) => message,
        Err(error) => {
            tracing::error!(%error, "a letter could not be written");
            return;
        }
    };
    let mut pauses = AGAIN_AFTER.iter();
    while let Err(error) = smtp.send(message.clone()).await {
        // What a server says is somebody else's text.
        let reason = error.to_string().escape_debug().to_string();
        let pause = if error.is_permanent() { None } else { pauses.next() };
        let Some(pause) = pause else {
            tracing::error!(reason, "a letter could not be handed to the mail server, it is lost");
            return;
        };
        tracing::warn!(reason, "the mail server did not take a letter, trying again");
        tokio::time::sleep(*pause).await;
    }
}

/// An address that mail can be sent to.
pub(crate) fn address(text: &str) -> Option<Address> {
    text.parse().ok()
}

impl Auth {
    /// Whether mail can be sent.
    pub fn mail_is_on(&self) -> bool {
        self.0.mailer.is_some()
    }

    /// A link to a page of this registry for a letter, from its path and query; none when no mail can be sent.
    pub fn mail_link(&self, path: &str) -> Option<String> {
        self.0.mailer.as_ref().map(|mailer| mailer.link(path))
    }

    /// Puts a plain text letter into the queue. It is sent beside the request, and tried again a few times.
    ///
    /// [`AccountError::NotConfigured`] when no mail can be sent, [`AccountError::Invalid`] when the address is
    /// none.
    pub fn mail_send(&self, to: &str, subject: &str, text: &str) -> Result<(), AccountError> {
        let mailer = self.0.mailer.as_ref().ok_or(NO_MAIL)?;
        let to = address(to).ok_or(AccountError::Invalid {
            field: "email",
            reason: "expected an address such as name@example.com",
        })?;
        let subject =
            subject.chars().filter(|character| !character.is_control()).take(LONGEST_SUBJECT).collect();
        mailer.post(Letter { to, subject, text: text.to_owned() });
        Ok(())
    }
}

pub(crate) const NO_MAIL: AccountError =
    AccountError::NotConfigured("this registry sends no mail, ask an administrator");

#[cfg(test)]
mod tests;
