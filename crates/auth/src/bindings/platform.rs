//! What is known about the platforms that run jobs: which of their claims never change hands, and which events let
//! strangers start a job.
//!
//! A name can be given up and taken by somebody else, who then has the claims of whoever had it before; a key of
//! the platform's own cannot. So a binding that recognizes a known platform has to name such a key.

use serde_json::{Map, Value};

use super::claims::ClaimMatch;

/// Events that run with the rights of the repository on what a stranger proposed.
const STRANGERS_EVENTS: [&str; 2] = ["pull_request_target", "workflow_run"];

const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// How the issuers of GitHub Enterprise Server end.
const GITHUB_ENTERPRISE: &str = "/_services/token";

struct Platform {
    /// Whether this platform signs as this issuer.
    signs_as: fn(&str) -> bool,
    /// Claims, or beginnings of them, that no other platform has: they tell installations of somebody's own.
    own_claims: &'static [&'static str],
    /// Sets of claims of which one has to be matched exactly.
    lasting: &'static [&'static [&'static str]],
    /// What to tell who left that out.
    advice: &'static str,
}

const PLATFORMS: [Platform; 6] = [
    Platform {
        signs_as: |issuer| {
            issuer == GITHUB
                || issuer.strip_prefix(GITHUB).is_some_and(|rest| rest.starts_with('/'))
                || issuer.ends_with(GITHUB_ENTERPRISE)
        },
        own_claims: &[
            "repository",
            "repository_owner",
            "workflow_ref",
            "job_workflow_ref",
            "runner_environment",
        ],
        lasting: &[&["repository_id"], &["repository_owner_id"]],
        advice: "names of repositories change hands, give repository_id or repository_owner_id its exact value as well",
    },
    Platform {
        signs_as: |issuer| issuer == "https://gitlab.com",
        own_claims: &["project_path", "namespace_path", "ci_config_ref_uri", "pipeline_source"],
        lasting: &[&["project_id"], &["namespace_id"]],
        advice: "paths of projects change hands, give project_id or namespace_id its exact value as well",
    },
    Platform {
        signs_as: |issuer| issuer.starts_with("https://oidc.circleci.com/"),
        own_claims: &["oidc.circleci.com/"],
        lasting: &[&["oidc.circleci.com/project-id"]],
        advice: "give oidc.circleci.com/project-id its exact value as well",
    },
    Platform {
        signs_as: |issuer| issuer == "https://agent.buildkite.com",
        own_claims: &["organization_slug", "pipeline_slug"],
        lasting: &[&["organization_id"], &["pipeline_id"]],
        advice: "slugs change hands, give organization_id or pipeline_id its exact value as well",
    },
    Platform {
        signs_as: |issuer| issuer == "https://accounts.google.com",
        own_claims: &[],
        lasting: &[&["sub"]],
        advice: "addresses change hands, give sub its exact value as well",
    },
    Platform {
        signs_as: |_| false,
        own_claims: &["/kubernetes.io/"],
        lasting: &[
            &["/kubernetes.io/serviceaccount/uid"],
            &["/kubernetes.io/namespace", "/kubernetes.io/serviceaccount/name"],
            &["sub"],
        ],
        advice: "give /kubernetes.io/serviceaccount/uid its exact value, or both the namespace and the name",
    },
];

/// What is missing from a binding's rules, if something is.
pub(crate) fn fault(issuer: &str, rules: &[ClaimMatch]) -> Option<&'static str> {
    if !rules.iter().any(ClaimMatch::is_exact) {
        return Some("at least one claim needs an exact value, patterns alone let in too much");
    }
    let has_exact = |claim: &&str| rules.iter().any(|rule| rule.is_exact() && rule.claim == *claim);
    PLATFORMS
        .iter()
        .filter(|platform| (platform.signs_as)(issuer) || platform.is_recognized_in(rules))
        .find(|platform| !platform.lasting.iter().any(|set| set.iter().all(has_exact)))
        .map(|platform| platform.advice)
}

/// Whether everybody can fetch the keys of this issuer: then nobody needs to bring them, and nobody gets to claim
/// that a platform which others use signs with keys of his own.
pub(crate) fn publishes_keys(issuer: &str) -> bool {
    PLATFORMS.iter().any(|platform| (platform.signs_as)(issuer)) && !issuer.ends_with(GITHUB_ENTERPRISE)
}

/// What whoever made a binding should know about it.
pub(crate) fn notes(rules: &[ClaimMatch]) -> Vec<&'static str> {
    let names = |claim: &str| rules.iter().any(|rule| rule.claim == claim);
    let mut notes = Vec::new();
    if names("/kubernetes.io/serviceaccount/name") && !names("/kubernetes.io/serviceaccount/uid") {
        notes.push(
            "whoever may create service accounts in the namespace can take this name, add the uid to prevent that",
        );
    }
    if names("repository_owner_id") && !names("repository_id") {
        notes.push("every repository of this owner matches, add repository_id to name one");
    }
    if names("namespace_id") && !names("project_id") {
        notes.push("every project of this namespace matches, add project_id to name one");
    }
    notes
}

/// The event that started the job, when strangers can cause it.
pub(crate) fn strangers_event(claims: &Map<String, Value>) -> Option<&'static str> {
    let event = claims.get("event_name")?.as_str()?;
    STRANGERS_EVENTS.into_iter().find(|known| *known == event)
}

impl Platform {
    fn is_recognized_in(&self, rules: &[ClaimMatch]) -> bool {
        let is_own = |claim: &str| {
            self.own_claims
                .iter()
                .any(|own| if own.ends_with('/') { claim.starts_with(own) } else { claim == *own })
        };
        rules.iter().any(|rule| is_own(&rule.claim))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(claims: &[&str]) -> Vec<ClaimMatch> {
        claims.iter().map(|claim| ClaimMatch::equals(claim, "x")).collect()
    }

    #[test]
    fn t19_known_platforms_need_a_claim_that_never_changes_hands() {
        let circle = "https://oidc.circleci.com/org/1";
        for (issuer, claims, is_enough) in [
            (GITHUB, &["repository"][..], false),
            (GITHUB, &["sub"], false),
            (GITHUB, &["repository_owner", "environment"], false),
            (GITHUB, &["repository", "repository_id"], true),
            (GITHUB, &["repository_owner_id"], true),
            ("https://token.actions.githubusercontent.com/octo", &["sub"], false),
            ("https://ghe.example.com/_services/token", &["repository"], false),
            ("https://ghe.example.com/_services/token", &["repository_id"], true),
            ("https://somewhere.example.com", &["repository"], false),
            ("https://gitlab.com", &["project_path"], false),
            ("https://gitlab.com", &["project_id"], true),
            ("https://gitlab.example.com", &["project_path", "ref"], false),
            ("https://gitlab.example.com", &["namespace_path", "namespace_id"], true),
            (circle, &["sub"], false),
            (circle, &["oidc.circleci.com/vcs-ref"], false),
            (circle, &["oidc.circleci.com/project-id"], true),
            ("https://agent.buildkite.com", &["pipeline_slug"], false),
            ("https://agent.buildkite.com", &["pipeline_id"], true),
            ("https://accounts.google.com", &["email"], false),
            ("https://accounts.google.com", &["sub"], true),
            ("https://cluster.example.com", &["/kubernetes.io/namespace"], false),
            ("https://cluster.example.com", &["/kubernetes.io/serviceaccount/uid"], true),
            (
                "https://cluster.example.com",
                &["/kubernetes.io/namespace", "/kubernetes.io/serviceaccount/name"],
                true,
            ),
            ("https://cluster.example.com", &["sub"], true),
            ("https://other.example.com", &[], false),
            ("https://other.example.com", &["sub"], true),
        ] {
            assert_eq!(fault(issuer, &rules(claims)).is_none(), is_enough, "{issuer} {claims:?}");
        }
    }

    #[test]
    fn keys_of_public_platforms_are_theirs_to_publish() {
        for issuer in
            [GITHUB, "https://gitlab.com", "https://oidc.circleci.com/org/1", "https://accounts.google.com"]
        {
            assert!(publishes_keys(issuer), "{issuer}");
        }
        for issuer in ["https://gitlab.example.com", "https://ghe.example.com/_services/token"] {
            assert!(!publishes_keys(issuer), "{issuer}");
        }
    }

    #[test]
    fn a_pattern_is_no_exact_value() {
        assert!(fault("https://other.example.com", &[ClaimMatch::glob("ref", "refs/*")]).is_some());
    }

    #[test]
    fn what_is_broader_than_it_looks_has_a_note() {
        assert!(notes(&rules(&["repository_id"])).is_empty());
        assert_eq!(notes(&rules(&["repository_owner_id"])).len(), 1);
        assert_eq!(
            notes(&rules(&["/kubernetes.io/namespace", "/kubernetes.io/serviceaccount/name"])).len(),
            1
        );
    }

    #[test]
    fn only_events_that_strangers_cause_are_theirs() {
        for (event, is_strangers) in
            [("push", false), ("pull_request", false), ("pull_request_target", true), ("workflow_run", true)]
        {
            let claims = Map::from_iter([("event_name".to_owned(), event.into())]);
            assert_eq!(strangers_event(&claims).is_some(), is_strangers, "{event}");
        }
        assert_eq!(strangers_event(&Map::new()), None);
    }
}
