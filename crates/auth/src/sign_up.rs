//! Making an account for oneself.
//!
//! Where mail is sent, the answer is always "see your mail": whether the address or the name has an account
//! already is told to who reads the mail of that address, and to nobody else.

use std::time::Duration;

use db::{Durability, Lock, params};

use crate::mail::letters;
use crate::mail_codes::{self, CodeKind};
use crate::users::{NewRow, insert_in};
use crate::{AccountError, Auth, NewUser, OpenError, Settings, SignUp, Unavailable, UserView};

/// How long an account waits to be confirmed.
const CONFIRM_WITHIN: Duration = Duration::from_hours(24);
/// How many accounts that were never confirmed one round removes.
const REMOVE_AT_ONCE: i64 = 500;

/// What became of a sign-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedUp {
    /// The account is there and its owner can sign in.
    Ready(UserView),
    /// A letter is on its way, and says how to go on. Whether there is an account nobody learns from this.
    CheckMail,
}

/// What became of it behind the scenes.
enum Made {
    Waiting(UserView),
    AddressTaken { username: String },
    NameTaken,
}

/// Whether the settings of sign-up fit together.
pub(crate) fn check(settings: &Settings) -> Result<(), OpenError> {
    let is_limited = settings.sign_up == SignUp::Open && !settings.sign_up_domains.is_empty();
    if is_limited && settings.mail.is_none() { Err(OpenError::SignUpWithoutMail) } else { Ok(()) }
}

impl Auth {
    /// Who may make an account.
    pub fn sign_up_rule(&self) -> SignUp {
        self.0.settings.sign_up
    }

    /// Makes an account for a stranger, or for one who brings a valid invitation (`is_invited`: whoever calls this
    /// has looked at it). Never one that runs the instance, whatever `user` says.
    ///
    /// [`AccountError::SignUpClosed`] when the settings do not allow it, [`AccountError::Invalid`] when a field is
    /// not acceptable. [`AccountError::Conflict`] when the name is taken, only for the invited and where no mail
    /// is sent: else the letter says so.
    pub async fn sign_up(&self, user: NewUser, is_invited: bool) -> Result<SignedUp, AccountError> {
        self.sign_up_allows(&user.email, is_invited)?;
        // One path for all: the hash is paid for whether or not there is an account.
        let new = self.user_prepare(NewUser { system_admin: false, ..user }).await?;
        if self.mail_is_on() && !is_invited {
            if crate::mail::address(&new.email).is_none() {
                return Err(AccountError::Invalid {
                    field: "email",
                    reason: "expected an address such as name@example.com that mail can be sent to",
                });
            }
            let auth = self.clone();
            tokio::spawn(async move {
                if let Err(error) = auth.sign_up_by_mail(new).await {
                    tracing::error!(%error, "a sign-up was lost");
                }
            });
            return Ok(SignedUp::CheckMail);
        }
        let made = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    insert_in(tx, new).await
                })
            })
            .await?;
        if self.mail_is_on() {
            // The account is there already: a letter that was not sent can be asked for again.
            let _ = self.email_verify_send(made.id).await;
        }
        Ok(SignedUp::Ready(made))
    }

    fn sign_up_allows(&self, email: &str, is_invited: bool) -> Result<(), AccountError> {
        let settings = &self.0.settings;
        match settings.sign_up {
            SignUp::Closed => Err(AccountError::SignUpClosed(
                "nobody can sign up at this registry, ask an administrator for an account",
            )),
            SignUp::Invited | SignUp::Open if is_invited => Ok(()),
            SignUp::Invited => Err(AccountError::SignUpClosed(
                "sign-up needs an invitation, ask somebody of your organization for one",
            )),
            SignUp::Open => {
                let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
                let domains = &settings.sign_up_domains;
                let is_allowed =
                    domains.is_empty() || domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain));
                let reason = "addresses of this domain cannot sign up here, use that of your organization";
                if is_allowed { Ok(()) } else { Err(AccountError::SignUpClosed(reason)) }
            }
        }
    }

    /// Makes an account that waits for its confirmation, and sends the letter; or the one that says why not.
    pub(crate) async fn sign_up_by_mail(&self, new: NewRow) -> Result<(), AccountError> {
        let now = self.0.clock.now();
        let (username, email) = (new.username.clone(), new.email.clone());
        let new = NewRow { is_unconfirmed: true, ..new };
        let code = mail_codes::generate();
        let stored = code.clone();
        let made: Made = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let holder: Option<(String,)> = tx
                        .opt(
                            "SELECT username FROM users WHERE lower(email) = lower($1) AND kind = 'person' \
                             AND is_unconfirmed = 0 LIMIT 1",
                            params![&new.email],
                        )
                        .await?;
                    if let Some((username,)) = holder {
                        return Ok::<_, AccountError>(Made::AddressTaken { username });
                    }
                    // Who signs up again because the letter did not come gets another one, and with it the
                    // password that was given last.
                    tx.exec(
                        "DELETE FROM users WHERE username = $1 AND is_unconfirmed = 1 \
                         AND lower(email) = lower($2)",
                        params![&new.username, &new.email],
                    )
                    .await?;
                    let email = new.email.clone();
                    let user = match insert_in(tx, new).await {
                        Ok(user) => user,
                        Err(AccountError::Conflict) => return Ok(Made::NameTaken),
                        Err(error) => return Err(error),
                    };
                    let kind = CodeKind::Verify;
                    mail_codes::insert_in(tx, kind, &stored, user.id, &email, (now, kind.life())).await?;
                    Ok(Made::Waiting(user))
                })
            })
            .await?;
        let link = |path: &str| self.mail_link(path).unwrap_or_default();
        let (subject, text) = match made {
            Made::Waiting(user) => {
                return self.letter_with_code(CodeKind::Verify, &user, &email, &code);
            }
            Made::AddressTaken { username } => {
                letters::has_account(self.service(), &username, &link("/sign-in"))
            }
            Made::NameTaken => letters::name_taken(self.service(), &username, &link("/sign-up")),
        };
        self.mail_send(&email, &subject, &text)
    }

    /// Removes some of the accounts that were not confirmed within 24 hours, and tells how many. For the background
    /// worker, to be called again while there are any.
    pub async fn unconfirmed_remove(&self) -> Result<u64, Unavailable> {
        let before = (self.0.clock.now() - CONFIRM_WITHIN).as_millis();
        let removed: Result<u64, db::Error> = self
            .0
            .db
            .write(Durability::Relaxed, move |tx| {
                Box::pin(async move {
                    tx.exec(
                        "DELETE FROM users WHERE id IN \
                         (SELECT id FROM users WHERE is_unconfirmed = 1 AND created_at < $1 \
                          ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
                        params![before, REMOVE_AT_ONCE],
                    )
                    .await
                })
            })
            .await;
        Ok(removed?)
    }
}

#[cfg(test)]
mod tests;
