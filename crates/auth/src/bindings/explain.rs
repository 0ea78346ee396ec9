//! Why a job's token does or does not come in: for the administrators who made the bindings, never for the job.

use db::params;

use super::{BindingView, Bound};
use crate::Auth;
use crate::job_token::{JobTokenError, sole_audience};
use crate::provider::{Expectation, ForeignTokenError, Keys, Peeked};

/// Bindings of one organization that are tried at the most.
const MOST_TRIED: u32 = 1000;

/// How one binding judged a token.
#[derive(Clone, Debug)]
pub struct BindingTrial {
    /// User name of the service account that it leads to.
    pub account: String,
    /// The binding.
    pub binding: BindingView,
    /// Whether the token would come in through it.
    pub matched: bool,
    /// Why not; empty when it would.
    pub reasons: Vec<String>,
}

impl Auth {
    /// Tries a job's token against every binding of an organization. The token is not used up by it.
    ///
    /// [`JobTokenError::Invalid`] when the text is not a job's token at all.
    pub async fn bindings_explain(
        &self,
        organization_id: i64,
        token: &str,
    ) -> Result<Vec<BindingTrial>, JobTokenError> {
        let peeked = Peeked::of(token.trim()).ok_or(JobTokenError::Invalid)?;
        let bindings: Vec<Bound> = self
            .0
            .db
            .all(
                "SELECT bindings.public_id, bindings.name, bindings.issuer, bindings.audience, bindings.claims, \
                 bindings.scopes, bindings.token_ttl, bindings.jwks, bindings.created_by, bindings.created_at, \
                 bindings.last_used_at, bindings.id, users.id, users.username, users.disabled_at \
                 FROM users JOIN bindings ON bindings.user_id = users.id \
                 WHERE users.organization_id = $1 LIMIT $2",
                params![organization_id, MOST_TRIED],
            )
            .await?;
        // The signature is the same for all whose keys are fetched: one look is enough.
        let mut fetched = None;
        let mut trials = Vec::with_capacity(bindings.len());
        for bound in bindings {
            let reasons = self.reasons(&bound, token.trim(), &peeked, &mut fetched).await;
            trials.push(BindingTrial {
                account: bound.account,
                binding: bound.binding,
                matched: reasons.is_empty(),
                reasons,
            });
        }
        trials.sort_by(|one, other| {
            (!one.matched, &one.account, &one.binding.id).cmp(&(
                !other.matched,
                &other.account,
                &other.binding.id,
            ))
        });
        Ok(trials)
    }

    async fn reasons(
        &self,
        bound: &Bound,
        token: &str,
        peeked: &Peeked,
        fetched: &mut Option<Result<(), ForeignTokenError>>,
    ) -> Vec<String> {
        let binding = &bound.binding;
        let mut reasons = Vec::new();
        if bound.is_disabled {
            reasons.push("the service account is disabled".to_owned());
        }
        let issuer = peeked.issuer().unwrap_or_default();
        if issuer != binding.issuer {
            reasons.push(format!("issuer is {issuer:?}, expected {:?}", binding.issuer));
            // Another issuer's claims mean something else, and its keys are nobody's here.
            return reasons;
        }
        let audience = sole_audience(&peeked.claims.0);
        if audience == Some(binding.audience.as_str()) {
            let mut expectation = Expectation::of_job(&binding.issuer, &binding.audience);
            let verified = if let Some(jwks) = &binding.jwks {
                expectation.keys = Keys::Given(jwks);
                self.0.providers.issuers.verify(token, &expectation).await.map(|_| ())
            } else {
                if fetched.is_none() {
                    *fetched = Some(self.0.providers.issuers.verify(token, &expectation).await.map(|_| ()));
                }
                fetched.clone().unwrap_or(Ok(()))
            };
            if let Err(error) = verified {
                reasons.push(error.to_string());
            }
        } else {
            let shown = peeked.claims.0.get("aud").map_or_else(|| "missing".to_owned(), ToString::to_string);
            reasons.push(format!("audience is {shown}, expected exactly {:?}", binding.audience));
        }
        reasons.extend(binding.mismatches(&peeked.claims.0));
        reasons
    }
}
