//! What a token will say: of what was asked for, that to which its owner has a right now.

use access::{Action, ActionSet, Scope, ScopeGrant, ScopeKind, ScopeVerdict};
use auth::Identity;
use oci::RepositoryName;
use registry::{Error, Registry};

/// Evaluates scopes. A scope that is not granted is no error: the token says what was refused, so that the
/// registry can tell "ask for a token" from "no".
pub(super) async fn evaluate(
    registry: &Registry,
    identity: &Identity,
    scopes: &[Scope],
) -> Result<Vec<ScopeGrant>, Error> {
    let mut grants: Vec<ScopeGrant> = Vec::new();
    for scope in scopes {
        let (name, granted) = match &scope.kind {
            ScopeKind::Other => continue,
            ScopeKind::RegistryCatalog => {
                let known = !identity.principal.is_anonymous();
                (ScopeGrant::CATALOG.to_owned(), if known { ActionSet::ALL } else { ActionSet::NONE })
            }
            ScopeKind::Repository(name) => {
                (name.clone(), granted(registry, identity, name, scope.actions).await?)
            }
        };
        let denied = scope.actions.difference(granted);
        match grants.iter_mut().find(|grant| grant.name == name) {
            Some(grant) => {
                grant.granted = grant.granted.union(granted);
                grant.denied = grant.denied.union(denied);
            }
            None => grants.push(ScopeGrant { name, granted, denied }),
        }
    }
    Ok(grants)
}

async fn granted(
    registry: &Registry,
    identity: &Identity,
    name: &str,
    asked: ActionSet,
) -> Result<ActionSet, Error> {
    // A name that cannot exist is asked about like one that does not.
    let Ok(parsed) = name.parse::<RepositoryName>() else { return Ok(ActionSet::NONE) };
    // A token never carries more than the credentials that it was made from.
    let within: ActionSet = asked.iter().filter(|action| allowed(identity, name, *action)).collect();
    registry.evaluate(&identity.principal, &parsed, within).await
}

fn allowed(identity: &Identity, name: &str, action: Action) -> bool {
    identity.evaluate(name, action) == ScopeVerdict::Granted
}

/// The granted scopes as one string (RFC 6749 §3.3).
pub(super) fn render(grants: &[ScopeGrant]) -> String {
    let scopes: Vec<String> = grants
        .iter()
        .filter(|grant| !grant.granted.is_empty())
        .map(|grant| match grant.name.as_str() {
            ScopeGrant::CATALOG => "registry:catalog:*".to_owned(),
            name => format!("repository:{name}:{}", grant.granted),
        })
        .collect();
    scopes.join(" ")
}
