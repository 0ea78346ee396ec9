//! Who a user is at identity providers.

use clock::Timestamp;
use db::{Durability, Lock, params};

use crate::{AccountError, Auth, Unavailable};

/// An account at a provider that a user signs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityView {
    /// Name of the provider in the configuration.
    pub provider: String,
    /// Who vouches.
    pub issuer: String,
    /// Name of the account there, which never changes hands.
    pub subject: String,
    /// Address that the provider told last; empty when it told none.
    pub email: String,
    /// When it was linked.
    pub linked_at: Timestamp,
    /// When somebody last signed in with it.
    pub last_used_at: Timestamp,
}

type Row = (String, String, String, String, i64, i64);

fn view((provider, issuer, subject, email, linked_at, last_used_at): Row) -> IdentityView {
    IdentityView {
        provider,
        issuer,
        subject,
        email,
        linked_at: Timestamp::from_millis(linked_at),
        last_used_at: Timestamp::from_millis(last_used_at),
    }
}

/// Accounts of one user that are listed, at the most.
const MOST: i64 = 100;

impl Auth {
    /// The accounts at providers that a user signs in with.
    pub async fn identity_list(&self, user_id: i64) -> Result<Vec<IdentityView>, Unavailable> {
        let rows: Vec<Row> = self
            .0
            .db
            .all(
                "SELECT provider, issuer, subject, email, linked_at, last_used_at FROM identities \
                 WHERE user_id = $1 ORDER BY issuer, subject LIMIT $2",
                params![user_id, MOST],
            )
            .await?;
        Ok(rows.into_iter().map(view).collect())
    }

    /// Takes an account at a provider away from a user. What the provider said about groups goes with it, and so do
    /// the sessions that it vouched for.
    ///
    /// [`AccountError::NotFound`] when it is not this user's; [`AccountError::Invalid`] when it is the last way to
    /// sign in.
    pub async fn identity_unlink(
        &self,
        user_id: i64,
        issuer: &str,
        subject: &str,
    ) -> Result<(), AccountError> {
        let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let row: Option<(String,)> = tx
                        .opt(
                            "DELETE FROM identities WHERE issuer = $1 AND subject = $2 AND user_id = $3 \
                             RETURNING provider",
                            params![&issuer, &subject, user_id],
                        )
                        .await?;
                    let (provider,) = row.ok_or(AccountError::NotFound)?;
                    let (has_password,): (bool,) = tx
                        .one("SELECT password_hash IS NOT NULL FROM users WHERE id = $1", params![user_id])
                        .await?;
                    let others: Vec<(String,)> = tx
                        .all("SELECT provider FROM identities WHERE user_id = $1", params![user_id])
                        .await?;
                    if !has_password && others.is_empty() {
                        return Err(AccountError::Invalid {
                            field: "identity",
                            reason: "it is the last way to sign in, set a password or link another account first",
                        });
                    }
                    if !others.iter().any(|(other,)| *other == provider) {
                        for sql in [
                            "DELETE FROM user_groups WHERE user_id = $1 AND provider = $2",
                            "DELETE FROM sessions WHERE user_id = $1 AND provider = $2",
                        ] {
                            tx.exec(sql, params![user_id, &provider]).await?;
                        }
                    }
                    Ok(())
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests;
