//! What the tests of this crate share.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use clock::{Clock, Timestamp};
use db::Db;
use secrecy::{ExposeSecret as _, SecretString};

use crate::mail::{Letter, Mailer};
use crate::{
    AccountError, Auth, BearerError, BrowserInfo, Credential, Identity, MailSettings, NewToken, NewUser,
    PasswordCost, Settings, SignInError, SignedIn, TokenView, UserView,
};

/// The least that argon2 allows: tests hash many passwords.
pub(crate) const CHEAP: PasswordCost = PasswordCost { memory_kib: 8, passes: 1, lanes: 1 };
pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Setup {
    pub(crate) auth: Auth,
    pub(crate) clock: Clock,
    pub(crate) db: Db,
    _database: db::testing::Guard,
}

/// A sealing key; another one for another number.
pub(crate) fn sealing_key(first: u8) -> SecretString {
    let bytes: Vec<u8> = (0..32).map(|index| first ^ index).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes).into()
}

pub(crate) fn settings() -> Settings {
    Settings { password_cost: CHEAP, sealing_key: Some(sealing_key(7)), ..Settings::default() }
}

pub(crate) async fn setup() -> Setup {
    setup_with(settings()).await
}

pub(crate) async fn setup_with(settings: Settings) -> Setup {
    let (db, database) = db::testing::temporary().await;
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_123));
    let auth = Auth::open(db.clone(), clock.clone(), settings).await.unwrap();
    Setup { auth, clock, db, _database: database }
}

/// Nobody needs whoever goes.
pub(crate) fn may_go(_: &mut db::Transaction, _: i64) -> db::WriteFuture<'_, (), AccountError> {
    Box::pin(async { Ok(()) })
}

pub(crate) fn new_user(username: &str) -> NewUser {
    NewUser {
        username: username.to_owned(),
        email: format!("{username}@example.com"),
        password: PASSWORD.into(),
        system_admin: false,
    }
}

/// The same, with mail that is kept for the test to read.
pub(crate) fn with_mail(settings: Settings) -> Settings {
    let mail = MailSettings {
        url: "kept:".into(),
        from: "larder@registry.example.org".to_owned(),
        public_url: "https://registry.example.org/".to_owned(),
    };
    Settings { mail: Some(mail), ..settings }
}

pub(crate) fn browser() -> BrowserInfo {
    BrowserInfo { user_agent: "Firefox".to_owned(), address: HERE }
}

/// The code in a letter.
pub(crate) fn code_in(letter: &Letter) -> SecretString {
    let (_, rest) = letter.text.split_once("?code=").expect("the letter has a code");
    rest.split_whitespace().next().expect("the letter has a code").into()
}

impl Setup {
    pub(crate) fn letters(&self) -> Vec<Letter> {
        self.auth.0.mailer.as_ref().map(Mailer::kept).unwrap_or_default()
    }

    /// Letters, once there are this many: some are written beside the call that asks for them.
    pub(crate) async fn letters_of(&self, count: usize) -> Vec<Letter> {
        for _ in 0..2_000 {
            if self.letters().len() >= count {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let letters = self.letters();
        assert_eq!(letters.len(), count);
        letters
    }

    /// Signs a browser in, and returns the cookie.
    pub(crate) async fn browse(&self, username: &str) -> String {
        match self.auth.sign_in(username, &PASSWORD.into(), browser()).await.unwrap() {
            SignedIn::Complete(secret, _) | SignedIn::SecondFactorNeeded(secret, _) => {
                secret.expose_secret().to_owned()
            }
        }
    }

    pub(crate) async fn user(&self, username: &str) -> UserView {
        self.auth.user_create(new_user(username)).await.unwrap()
    }

    /// A token of this user's, made after signing in with the password.
    pub(crate) async fn token(
        &self,
        user_id: i64,
        name: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<(TokenView, SecretString), AccountError> {
        let maker = Identity { credential: Credential::Password, ..Identity::anonymous() };
        let new = NewToken { name: name.to_owned(), scopes: None, expires_at };
        self.auth.token_create(&maker, user_id, new).await
    }

    /// Runs one statement.
    pub(crate) async fn change(&self, sql: &'static str) {
        let done: Result<u64, db::Error> = self
            .db
            .write(db::Durability::Durable, move |tx| {
                Box::pin(async move { tx.exec(sql, db::params![]).await })
            })
            .await;
        assert!(done.unwrap() > 0);
    }

    pub(crate) async fn bearer(&self, token: &str) -> Result<Identity, BearerError> {
        self.auth.identify_bearer(token, HERE).await
    }

    pub(crate) async fn sign_in(&self, username: &str, secret: &str) -> Result<Identity, SignInError> {
        self.auth.identify_basic(username, &SecretString::from(secret), HERE).await
    }
}
