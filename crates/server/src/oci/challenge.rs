//! What a client that has to sign in is asked for.

use oci::{Call, RepositoryName, UploadStart};
use registry::Right;

/// The scope that a right over a repository takes, as the token protocol writes it.
pub(super) fn scope_of_right<R: Right>(name: &RepositoryName) -> String {
    let actions = match R::OPERATION {
        access::Operation::Content(access::Action::Pull) => "pull",
        access::Operation::Content(access::Action::Push) => "pull,push",
        _ => "delete",
    };
    format!("repository:{name}:{actions}")
}

/// The scope of the catalog.
pub(super) const CATALOG: &str = "registry:catalog:*";

/// The scope that a call takes; none for the ping.
pub(super) fn scope_of_call(call: &Call) -> Option<String> {
    let pull = |name: &RepositoryName| Some(scope_of_right::<registry::Pull>(name));
    let push = |name: &RepositoryName| Some(scope_of_right::<registry::Push>(name));
    let delete = |name: &RepositoryName| Some(scope_of_right::<registry::Delete>(name));
    match call {
        Call::Ping => None,
        Call::Catalog { .. } => Some(CATALOG.to_owned()),
        Call::ExtensionDiscover { name } => name.as_ref().and_then(pull),
        Call::BlobGet { name, .. }
        | Call::BlobHead { name, .. }
        | Call::ManifestGet { name, .. }
        | Call::ManifestHead { name, .. }
        | Call::TagList { name, .. } => pull(name),
        Call::Referrers(query) | Call::OrasReferrersDraft(query) | Call::OrasReferrersRc(query) => {
            pull(&query.name)
        }
        Call::UploadStart { name, mode: UploadStart::Mount { from: Some(source), .. } } => {
            Some(mount(name, source))
        }
        Call::UploadStart { name, .. }
        | Call::UploadStatus { name, .. }
        | Call::UploadPatch { name, .. }
        | Call::UploadPut { name, .. }
        | Call::UploadCancel { name, .. }
        | Call::ManifestPut { name, .. } => push(name),
        Call::BlobDelete { name, .. } | Call::ManifestDelete { name, .. } => delete(name),
    }
}

/// A mount takes two scopes, which one token covers.
pub(super) fn mount(target: &RepositoryName, source: &RepositoryName) -> String {
    format!("repository:{target}:pull,push repository:{source}:pull")
}

/// The challenge header (Docker token authentication). Every value is quoted: some parsers know no other.
pub(super) fn header(base_url: &str, service: &str, scope: Option<&str>, error: Option<&str>) -> String {
    let parameter = |name: &str, value: Option<&str>| match value {
        Some(value) => format!(",{name}=\"{value}\""),
        None => String::new(),
    };
    format!(
        "Bearer realm=\"{base_url}/token\",service=\"{service}\"{}{}",
        parameter("scope", scope),
        parameter("error", error)
    )
}

#[cfg(test)]
mod tests {
    use access::ActionSet;

    use super::*;

    fn actions(scope: &str) -> ActionSet {
        let scopes = access::scope::parse_list([scope]).scopes;
        scopes.into_iter().fold(ActionSet::NONE, |all, one| all.union(one.actions))
    }

    #[test]
    fn a_challenge_asks_for_what_the_right_takes() {
        let name: RepositoryName = "acme/prod/app".parse().unwrap();
        assert!(actions(&scope_of_right::<registry::Push>(&name)).contains(access::Action::Push));
        assert!(actions(&scope_of_right::<registry::Delete>(&name)).contains(access::Action::Delete));
        assert_eq!(
            header("http://localhost:5000", "larder", Some("repository:a/b/c:pull"), Some("invalid_token")),
            "Bearer realm=\"http://localhost:5000/token\",service=\"larder\",scope=\"repository:a/b/c:pull\",\
             error=\"invalid_token\""
        );
    }
}
