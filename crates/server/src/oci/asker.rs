//! Who asks for a repository.

use access::Basis;
use auth::{Identity, Recalled};
use http::HeaderMap;
use oci::RepositoryName;
use registry::{Caller, Granted, Repository, Right};
use secrecy::ExposeSecret as _;

use crate::State;
use crate::context::Context;
use crate::identify::{self, IdentifyError, Presented};

/// Whoever sent a request, with what that stands on. An account may have changed since it was looked at, so the
/// statement that looks for a right looks at the account again; that is why it need not be asked for before.
pub(super) struct Asker {
    caller: Caller,
    /// None when it stands on nothing that a right could be asked for along with.
    basis: Option<Basis>,
    /// Nobody looked at the account for this request.
    is_recalled: bool,
}

impl Asker {
    /// From the credentials of a request: as they are remembered, or as they are.
    pub(super) async fn find(
        state: &State,
        headers: &HeaderMap,
        context: &Context,
    ) -> Result<Self, IdentifyError> {
        let fingerprint = match identify::presented(headers)? {
            Presented::Nothing => None,
            Presented::Basic(username, secret) => {
                Some(state.auth.fingerprint_basic(&username, secret.expose_secret()))
            }
            Presented::Bearer(token) => Some(state.auth.fingerprint_bearer(token)),
        };
        if let Some(recalled) = fingerprint.as_ref().and_then(|known| state.auth.recall(known)) {
            let Recalled { principal, limit, basis } = recalled;
            let caller = Caller { principal, limit };
            return Ok(Self { caller, basis: Some(basis), is_recalled: true });
        }
        let identity = identify::identify(&state.auth, headers, context).await?;
        if let Some(fingerprint) = fingerprint {
            state.auth.remember(fingerprint, &identity);
        }
        Ok(Self::of(&identity))
    }

    /// From the credentials of a request, as they are now.
    pub(super) async fn identify(
        state: &State,
        headers: &HeaderMap,
        context: &Context,
    ) -> Result<Self, IdentifyError> {
        Ok(Self::of(&identify::identify(&state.auth, headers, context).await?))
    }

    fn of(identity: &Identity) -> Self {
        Self { caller: identify::caller(identity), basis: identity.basis(), is_recalled: false }
    }

    /// The caller, for what is asked without a right over a repository; none when nobody looked at the account.
    pub(super) fn known(&self) -> Option<&Caller> {
        (!self.is_recalled).then_some(&self.caller)
    }

    /// The caller as it is believed to be, for the words of an answer and for what is counted.
    pub(super) fn presumed(&self) -> &Caller {
        &self.caller
    }

    /// Asks for a right. `None` when the account is not as it was when it was looked at.
    pub(super) async fn authorize<R>(
        &self,
        registry: &registry::Registry,
        name: &RepositoryName,
    ) -> Result<Option<Granted<R>>, registry::Error>
    where
        R: Right<Resource = Repository>,
    {
        match &self.basis {
            Some(basis) => registry.authorize_standing(&self.caller, basis, name).await,
            None => registry.authorize(&self.caller, name).await.map(Some),
        }
    }
}
