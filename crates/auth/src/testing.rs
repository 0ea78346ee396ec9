//! What the tests of this crate share.

use std::net::{IpAddr, Ipv4Addr};

use clock::{Clock, Timestamp};
use db::Db;
use secrecy::SecretString;

use crate::{Auth, Identity, NewUser, PasswordCost, Settings, SignInError, UserView};

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

pub(crate) async fn setup() -> Setup {
    let (db, database) = db::testing::temporary().await;
    let clock = Clock::manual(Timestamp::from_millis(1_800_000_000_123));
    let settings = Settings { password_cost: CHEAP, ..Settings::default() };
    let auth = Auth::open(db.clone(), clock.clone(), settings).await.unwrap();
    Setup { auth, clock, db, _database: database }
}

pub(crate) fn new_user(username: &str) -> NewUser {
    NewUser {
        username: username.to_owned(),
        email: format!("{username}@example.com"),
        password: PASSWORD.into(),
        system_admin: false,
    }
}

impl Setup {
    pub(crate) async fn user(&self, username: &str) -> UserView {
        self.auth.user_create(new_user(username)).await.unwrap()
    }

    pub(crate) async fn sign_in(&self, username: &str, secret: &str) -> Result<Identity, SignInError> {
        self.auth.identify_basic(username, &SecretString::from(secret), HERE).await
    }
}
