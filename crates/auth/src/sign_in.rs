//! Signing in from a browser, and proving again who one is.

use std::net::IpAddr;

use clock::Timestamp;
use db::{Durability, params};
use secrecy::{ExposeSecret, SecretString};

use crate::basic::PasswordOwner;
use crate::gate::Gate;
use crate::second_factor::use_in;
use crate::secret_token::{self, PREFIX};
use crate::sessions::{self, NewSession};
use crate::{AccountError, Auth, BrowserInfo, SessionView, SignInError};

/// How signing in from a browser went on. The secret is the cookie's value.
#[derive(Debug)]
pub enum SignedIn {
    /// The browser is signed in.
    Complete(SecretString, SessionView),
    /// The password is right; the session counts when [`Auth::second_factor_check`] has seen a code.
    SecondFactorNeeded(SecretString, SessionView),
}

/// How somebody who is signed in proves again who it is.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The account's password.
    Password(SecretString),
    /// A code of the second factor, or a recovery code.
    Code(SecretString),
}

impl Auth {
    /// Signs a browser in with a user name and a password. Tokens are for programs and are refused here.
    ///
    /// The session is always a new one. One that the browser had should be closed by the caller.
    pub async fn sign_in(
        &self,
        username: &str,
        password: &SecretString,
        browser: BrowserInfo,
    ) -> Result<SignedIn, SignInError> {
        let owner = self.password_proved(username, password, browser.address).await?;
        // To switch it on raises the epoch, so what is read here belongs to the epoch that the session is bound to.
        let is_partial = self.second_factor_get(owner.user_id).await?.confirmed_at.is_some();
        let new = NewSession {
            user_id: owner.user_id,
            epoch: Some(owner.epoch),
            provider: None,
            is_partial,
            browser,
        };
        // Disabled, or with a new password, between the check and now.
        let (secret, view) = self.session_insert(new).await?.ok_or(SignInError::Wrong)?;
        Ok(if is_partial {
            SignedIn::SecondFactorNeeded(secret, view)
        } else {
            SignedIn::Complete(secret, view)
        })
    }

    /// Completes a sign-in with a code of the second factor or a recovery code. The cookie gets a new value.
    ///
    /// [`AccountError::SignInOver`] when the cookie is not that of a sign-in that waits for a code,
    /// [`AccountError::WrongCode`], or [`AccountError::Throttled`] after too many of them.
    pub async fn second_factor_check(
        &self,
        cookie: &str,
        code: &SecretString,
    ) -> Result<(SecretString, SessionView), AccountError> {
        let held = self.session_held(cookie).await?.filter(|held| held.is_partial);
        let held = held.ok_or(AccountError::SignInOver)?;
        self.second_factor_gate(held.user.id)?;
        let ends_at = sessions::ends_at(self.0.clock.now(), &self.0.settings.sessions);
        self.session_renew(held.id, held.user.id, Some(code), Some(ends_at)).await
    }

    /// Takes note that who is signed in has proved just now to be its user. The cookie gets a new value.
    ///
    /// [`AccountError::SignInOver`] when the cookie is not that of a complete session; else as for signing in.
    pub async fn session_prove(
        &self,
        cookie: &str,
        proof: &Proof,
        origin: IpAddr,
    ) -> Result<(SecretString, SessionView), AccountError> {
        let held = self.session_held(cookie).await?.filter(|held| !held.is_partial);
        let held = held.ok_or(AccountError::SignInOver)?;
        let code = match proof {
            Proof::Password(password) => {
                let owner = self.password_proved(&held.user.name, password, origin).await?;
                if owner.user_id != held.user.id {
                    return Err(AccountError::WrongPassword);
                }
                None
            }
            Proof::Code(code) => {
                self.second_factor_gate(held.user.id)?;
                Some(code)
            }
        };
        self.session_renew(held.id, held.user.id, code, None).await
    }

    /// Whose password this is, whatever else its owner has to show. Only a password: what looks like a token of ours
    /// goes nowhere that passwords go.
    pub(crate) async fn password_proved(
        &self,
        username: &str,
        password: &SecretString,
        origin: IpAddr,
    ) -> Result<PasswordOwner, SignInError> {
        if password.expose_secret().starts_with(PREFIX) {
            return Err(SignInError::Wrong);
        }
        self.password_check(username, password, origin).await
    }

    pub(crate) fn second_factor_gate(&self, user_id: i64) -> Result<(), AccountError> {
        let allowance = self.gate_take_account(Gate::SecondFactor, user_id);
        if allowance.is_allowed {
            Ok(())
        } else {
            Err(AccountError::Throttled { retry_after: allowance.next })
        }
    }

    /// Gives a session a new secret, makes it complete, and notes the proof; uses up `code` in the same
    /// transaction.
    async fn session_renew(
        &self,
        id: i64,
        user_id: i64,
        code: Option<&SecretString>,
        ends_at: Option<Timestamp>,
    ) -> Result<(SecretString, SessionView), AccountError> {
        let secret = sessions::generate();
        let secret_hash = secret_token::hash(secret.expose_secret());
        let now = self.0.clock.now();
        let code = code.cloned();
        let sealer = std::sync::Arc::clone(&self.0.sealer);
        let view: SessionView = self
            .0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    if let Some(code) = code {
                        use_in(tx, &sealer, user_id, &code, now).await?;
                    }
                    let ends_at = ends_at.map(Timestamp::as_millis);
                    let view = tx
                        .opt(
                            "UPDATE sessions SET secret_hash = $1, proved_at = $2, last_seen_at = $2, \
                             is_partial = 0, expires_at = COALESCE($3, expires_at) WHERE id = $4 \
                             RETURNING public_id, provider, user_agent, address, created_at, proved_at, \
                             last_seen_at, expires_at",
                            params![secret_hash, now.as_millis(), ends_at, id],
                        )
                        .await?;
                    view.ok_or(AccountError::SignInOver)
                })
            })
            .await?;
        Ok((secret, view))
    }
}

#[cfg(test)]
mod tests;
