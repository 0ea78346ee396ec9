//! From what a provider says about somebody to a user of this registry.

use std::collections::BTreeSet;

use clock::Timestamp;
use db::{Durability, Lock, Transaction, params};
use serde_json::Value;

use super::foreign_token::Claims;
use super::{Provider, ProviderError};
use crate::{Auth, random};

/// Groups of one user that count, at the most, and bytes of a group's name.
const MOST_GROUPS: usize = 500;
const LONGEST_GROUP: usize = 255;
/// Bytes of an address at the most (RFC 5321 §4.5.3.1.3, less the angle brackets).
const LONGEST_EMAIL: usize = 254;
/// Bytes of the name that a new user is given, without the number that makes it unique.
const LONGEST_BASE: usize = 56;
/// How many names are tried before one is made up.
const NAMES_TRIED: u32 = 20;
/// Names that stand for something else where clients send user names.
const RESERVED: [&str; 3] = ["oidc", "token", "anonymous"];

/// Who came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) user_id: i64,
    pub(super) username: String,
    pub(super) epoch: i64,
    /// Made just now.
    pub(super) is_new: bool,
}

/// An account that is linked to somebody who is signed in.
#[derive(Clone, Copy)]
pub(super) struct Linking {
    pub(super) user_id: i64,
    /// The session that asked for it.
    pub(super) session_id: i64,
    /// Under what that session is stored from then on. It is worth more than before, and whoever may have read its
    /// cookie before has no part in that.
    pub(super) secret_hash: [u8; 32],
}

/// What the claims say, in the terms of this registry.
#[derive(Clone)]
struct Person {
    issuer: String,
    subject: String,
    provider: String,
    email: String,
    is_email_verified: bool,
    groups: BTreeSet<String>,
    /// To be named after.
    wish: String,
}

impl Auth {
    /// Lets somebody in whose claims were verified: finds the user, makes one on the first time, or links to the one
    /// who asked for it, and takes over the groups as they are now.
    pub(super) async fn admit(
        &self,
        provider: &Provider,
        claims: &Claims,
        linking: Option<Linking>,
    ) -> Result<Admitted, ProviderError> {
        let person = Person::of(provider, claims)?;
        let creates = provider.settings.create_users;
        let now = self.0.clock.now();
        self.0
            .db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    tx.lock(Lock::Identity, 0).await?;
                    let admitted = match (find(tx, &person).await?, linking) {
                        (Some(known), None) => known,
                        (Some(known), Some(linking)) if known.user_id == linking.user_id => known,
                        (Some(_), Some(_)) => return Err(ProviderError::LinkedElsewhere),
                        (None, Some(linking)) => {
                            let user = enabled_person(tx, linking.user_id).await?;
                            link(tx, &person, user.user_id, now).await?;
                            user
                        }
                        (None, None) if creates => {
                            let user = create(tx, &person, now).await?;
                            link(tx, &person, user.user_id, now).await?;
                            user
                        }
                        (None, None) => return Err(ProviderError::NotAllowed),
                    };
                    tx.exec(
                        "UPDATE identities SET last_used_at = $1, email = $2, provider = $3 \
                         WHERE issuer = $4 AND subject = $5",
                        params![
                            now.as_millis(),
                            &person.email,
                            &person.provider,
                            &person.issuer,
                            &person.subject
                        ],
                    )
                    .await?;
                    groups_replace(tx, admitted.user_id, &person).await?;
                    if let Some(linking) = linking {
                        session_rotate(tx, &linking).await?;
                    }
                    Ok(admitted)
                })
            })
            .await
    }
}

impl Person {
    fn of(provider: &Provider, claims: &Claims) -> Result<Self, ProviderError> {
        let settings = &provider.settings;
        if claims.0.contains_key("_claim_names") {
            tracing::warn!(
                provider = settings.name,
                "the provider left claims out because there are too many, limit the groups that it tells"
            );
        }
        let groups = groups(claims, &settings.groups_claim);
        let allowed = &settings.allowed_groups;
        if !allowed.is_empty() && !allowed.iter().any(|group| groups.contains(group)) {
            return Err(ProviderError::NotAllowed);
        }
        let email = claims.text("email").filter(|email| is_email(email)).unwrap_or_default();
        let is_email_verified = !email.is_empty()
            && match claims.0.get("email_verified") {
                Some(Value::Bool(is_verified)) => *is_verified,
                Some(Value::String(text)) => text == "true",
                _ => false,
            };
        if !settings.allowed_domains.is_empty() {
            let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
            let is_among =
                settings.allowed_domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain));
            if !is_among || !is_email_verified {
                return Err(ProviderError::NotAllowed);
            }
        }
        let named = settings.username_claim.as_deref().and_then(|claim| claims.text(claim));
        let wish = named
            .or_else(|| claims.text("preferred_username"))
            .and_then(account_name)
            .or_else(|| account_name(email))
            .unwrap_or_else(|| "user".to_owned());
        Ok(Self {
            issuer: settings.issuer.clone(),
            subject: claims.text("sub").unwrap_or_default().to_owned(),
            provider: settings.name.clone(),
            email: email.to_owned(),
            is_email_verified,
            groups,
            wish,
        })
    }
}

type UserRow = (i64, String, i64, Option<i64>);

fn enabled((user_id, username, epoch, disabled_at): UserRow) -> Result<Admitted, ProviderError> {
    if disabled_at.is_some() {
        return Err(ProviderError::NotAllowed);
    }
    Ok(Admitted { user_id, username, epoch, is_new: false })
}

async fn find(tx: &mut Transaction, person: &Person) -> Result<Option<Admitted>, ProviderError> {
    let row: Option<UserRow> = tx
        .opt(
            "SELECT users.id, users.username, users.epoch, users.disabled_at \
             FROM identities JOIN users ON users.id = identities.user_id \
             WHERE identities.issuer = $1 AND identities.subject = $2",
            params![&person.issuer, &person.subject],
        )
        .await?;
    row.map(enabled).transpose()
}

async fn enabled_person(tx: &mut Transaction, user_id: i64) -> Result<Admitted, ProviderError> {
    let row: Option<UserRow> = tx
        .opt(
            "SELECT id, username, epoch, disabled_at FROM users WHERE id = $1 AND kind = 'person'",
            params![user_id],
        )
        .await?;
    enabled(row.ok_or(ProviderError::NotAllowed)?)
}

async fn create(tx: &mut Transaction, person: &Person, now: Timestamp) -> Result<Admitted, ProviderError> {
    let username = free_name(tx, &person.wish).await?;
    let verified_at = person.is_email_verified.then(|| now.as_millis());
    let (user_id, epoch): (i64, i64) = tx
        .one(
            "INSERT INTO users (username, email, system_admin, created_at, email_verified_at) \
             VALUES ($1, $2, $3, $4, $5) RETURNING id, epoch",
            params![&username, &person.email, false, now.as_millis(), verified_at],
        )
        .await?;
    Ok(Admitted { user_id, username, epoch, is_new: true })
}

async fn link(
    tx: &mut Transaction,
    person: &Person,
    user_id: i64,
    now: Timestamp,
) -> Result<(), ProviderError> {
    tx.exec(
        "INSERT INTO identities (issuer, subject, user_id, provider, email, linked_at, last_used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![
            &person.issuer,
            &person.subject,
            user_id,
            &person.provider,
            &person.email,
            now.as_millis(),
            now.as_millis()
        ],
    )
    .await?;
    Ok(())
}

/// Gives the session that asked for linking a new secret; the old one is over. Nothing is linked for a session that
/// was ended meanwhile.
async fn session_rotate(tx: &mut Transaction, linking: &Linking) -> Result<(), ProviderError> {
    let rotated = tx
        .exec(
            "UPDATE sessions SET secret_hash = $1 WHERE id = $2 AND user_id = $3",
            params![linking.secret_hash, linking.session_id, linking.user_id],
        )
        .await?;
    if rotated == 0 { Err(ProviderError::State) } else { Ok(()) }
}

/// What the provider says now takes the place of what it said before: a group that somebody left is gone.
async fn groups_replace(tx: &mut Transaction, user_id: i64, person: &Person) -> Result<(), ProviderError> {
    let present: Vec<(String,)> = tx
        .all(
            "SELECT group_name FROM user_groups WHERE user_id = $1 AND provider = $2",
            params![user_id, &person.provider],
        )
        .await?;
    let present: BTreeSet<String> = present.into_iter().map(|(group,)| group).collect();
    for group in present.difference(&person.groups) {
        tx.exec(
            "DELETE FROM user_groups WHERE user_id = $1 AND provider = $2 AND group_name = $3",
            params![user_id, &person.provider, group],
        )
        .await?;
    }
    for group in person.groups.difference(&present) {
        tx.exec(
            "INSERT INTO user_groups (user_id, provider, group_name) VALUES ($1, $2, $3)",
            params![user_id, &person.provider, group],
        )
        .await?;
    }
    Ok(())
}

async fn free_name(tx: &mut Transaction, wish: &str) -> Result<String, ProviderError> {
    for number in 1..=NAMES_TRIED {
        let name = if number == 1 { wish.to_owned() } else { format!("{wish}-{number}") };
        if RESERVED.contains(&name.as_str()) {
            continue;
        }
        let taken: Option<(i64,)> =
            tx.opt("SELECT id FROM users WHERE username = $1", params![&name]).await?;
        if taken.is_none() {
            return Ok(name);
        }
    }
    let number = u32::from_be_bytes(random::bytes());
    let wish = &wish[..wish.len().min(LONGEST_BASE - 3)];
    Ok(format!("{wish}-{number:08x}"))
}

/// A user name made of a text: what cannot be in one becomes a dash, and of an address the part before the `@` is
/// taken. None when nothing is left.
fn account_name(text: &str) -> Option<String> {
    let local = text.split('@').next().unwrap_or_default();
    let mut name = String::new();
    for character in local.chars().flat_map(char::to_lowercase) {
        let kept =
            if character.is_ascii_alphanumeric() || matches!(character, '.' | '_') { character } else { '-' };
        if name.len() == LONGEST_BASE {
            break;
        }
        if !(kept == '-' && name.ends_with('-')) {
            name.push(kept);
        }
    }
    let name = name.trim_matches(|character: char| !character.is_ascii_alphanumeric());
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_email(text: &str) -> bool {
    text.len() <= LONGEST_EMAIL
        && !text.chars().any(|character| character.is_whitespace() || character.is_control())
        && text
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
}

/// The claim of this name; else what is found by going from object to object along its dots.
pub(super) fn at<'c>(claims: &'c Claims, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.0.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let first = claims.0.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// The groups that the claims list.
pub(super) fn groups(claims: &Claims, path: &str) -> BTreeSet<String> {
    let listed: Vec<&Value> = match at(claims, path) {
        Some(Value::Array(groups)) => groups.iter().collect(),
        Some(single) => vec![single],
        None => Vec::new(),
    };
    let is_usable =
        |group: &&str| (1..=LONGEST_GROUP).contains(&group.len()) && !group.chars().any(char::is_control);
    listed
        .into_iter()
        .filter_map(Value::as_str)
        .filter(is_usable)
        .map(str::to_owned)
        .take(MOST_GROUPS)
        .collect()
}

#[cfg(test)]
mod tests;
