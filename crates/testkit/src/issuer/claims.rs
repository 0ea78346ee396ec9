//! What the tokens of well-known platforms say.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::random_word;

/// How long a job's token lives, in seconds.
const LIFE: i64 = 300;

/// The claims of one token. They are what an honest platform says until they are changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// What every token has: issuer, subject, one audience, now, five minutes, a number of its own.
    pub fn new(issuer: &str, subject: &str, audience: &str) -> Self {
        let now = now();
        Self(object(json!({
            "iss": issuer,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + LIFE,
            "jti": random_word(),
        })))
    }

    /// A job of GitHub Actions in `repository` (`owner/name`), on a push to the branch `main`. Its numbers
    /// follow from the names, so two tokens of one repository agree; like all its numbers, they are text.
    pub fn github(issuer: &str, repository: &str, audience: &str) -> Self {
        let owner = repository.split_once('/').map_or(repository, |(owner, _)| owner);
        let reference = "refs/heads/main";
        let workflow = format!("{repository}/.github/workflows/release.yml@{reference}");
        let subject = format!("repo:{repository}:ref:{reference}");
        let commit = "2f1c0f9a5d3e4b6c7d8e9f00112233445566aabb";
        Self::new(issuer, &subject, audience).with_all(json!({
            "ref": reference,
            "ref_type": "branch",
            "ref_protected": "true",
            "sha": commit,
            "repository": repository,
            "repository_id": number(repository),
            "repository_owner": owner,
            "repository_owner_id": number(owner),
            "repository_visibility": "private",
            "run_id": "9876543210",
            "run_number": "10",
            "run_attempt": "1",
            "actor": "octocat",
            "actor_id": "583231",
            "workflow": "release",
            "workflow_ref": workflow,
            "workflow_sha": commit,
            "job_workflow_ref": workflow,
            "job_workflow_sha": commit,
            "head_ref": "",
            "base_ref": "",
            "event_name": "push",
            "runner_environment": "github-hosted",
        }))
    }

    /// A job of GitLab CI in the project `project` (`group/name`), on a push to the protected branch `main`.
    pub fn gitlab(issuer: &str, project: &str, audience: &str) -> Self {
        let namespace = project.rsplit_once('/').map_or(project, |(namespace, _)| namespace);
        let subject = format!("project_path:{project}:ref_type:branch:ref:main");
        let host = issuer.split("://").last().unwrap_or(issuer);
        Self::new(issuer, &subject, audience).with_all(json!({
            "namespace_id": number(namespace),
            "namespace_path": namespace,
            "project_id": number(project),
            "project_path": project,
            "user_id": "42",
            "user_login": "sam",
            "user_email": "sam@example.com",
            "user_access_level": "maintainer",
            "pipeline_id": "1212",
            "pipeline_source": "push",
            "job_id": "1213",
            "ref": "main",
            "ref_type": "branch",
            "ref_path": "refs/heads/main",
            "ref_protected": "true",
            "runner_id": 1,
            "runner_environment": "gitlab-hosted",
            "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
            "project_visibility": "private",
            "ci_config_ref_uri": format!("{host}/{project}//.gitlab-ci.yml@refs/heads/main"),
        }))
    }

    /// A job of `CircleCI` in the project `project`. The issuer has the organization's id as its path:
    /// `…/org/<organization>`.
    pub fn circleci(issuer: &str, project: &str, audience: &str) -> Self {
        let subject = format!("{}/project/{project}/user/u-1", issuer.split("://").last().unwrap_or(issuer));
        Self::new(issuer, &subject, audience).with_all(json!({
            "oidc.circleci.com/project-id": project,
            "oidc.circleci.com/context-ids": ["c-1"],
            "oidc.circleci.com/job-id": "j-1",
            "oidc.circleci.com/pipeline-id": "p-1",
            "oidc.circleci.com/workflow-id": "w-1",
            "oidc.circleci.com/ssh-rerun": false,
            "oidc.circleci.com/vcs-origin": "github.com/acme/app",
            "oidc.circleci.com/vcs-ref": "refs/heads/main",
        }))
    }

    /// A service account of a Kubernetes cluster, as a projected volume has it: the audience is a list, and
    /// everything else lies below one claim.
    pub fn kubernetes(issuer: &str, namespace: &str, account: &str, audience: &str) -> Self {
        let subject = format!("system:serviceaccount:{namespace}:{account}");
        Self::new(issuer, &subject, audience).with_all(json!({
            "aud": [audience],
            "kubernetes.io": {
                "namespace": namespace,
                "node": { "name": "node-1", "uid": uid("node-1") },
                "pod": { "name": format!("{account}-0"), "uid": uid(&format!("{namespace}/{account}-0")) },
                "serviceaccount": { "name": account, "uid": uid(&format!("{namespace}/{account}")) },
                "warnafter": now() + LIFE,
            },
        }))
    }

    /// The same with the claim `name`; a name is taken as it stands, dots and slashes too.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The same with all of these claims.
    #[must_use]
    pub fn with_all(mut self, claims: Value) -> Self {
        self.0.extend(object(claims));
        self
    }

    /// The same without the claim `name`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// The same, issued so many seconds later, or earlier when that is negative: everything that is a time
    /// moves, the life stays.
    #[must_use]
    pub fn shifted(mut self, seconds: i64) -> Self {
        for name in ["iat", "nbf", "exp"] {
            if let Some(time) = self.0.get(name).and_then(Value::as_i64) {
                self.0.insert(name.to_owned(), json!(time + seconds));
            }
        }
        self
    }

    /// The same as a platform issues it anew: now, with a number of its own.
    #[must_use]
    pub fn anew(self) -> Self {
        let now = now();
        self.with("iat", now).with("nbf", now).with("exp", now + LIFE).with("jti", random_word())
    }

    /// The claim `name`, null when it is absent.
    pub fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// The claim `name` as text; panics when it is none.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_else(|| panic!("the claim {name} is no text: {self:?}"))
    }

    /// All of them.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// Seconds since 1970 (RFC 7519, 2, `NumericDate`).
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("the clock is before the year 292 billion")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("claims are an object, not {other}"),
    }
}

/// The number that a platform has given to whatever is called so, as text.
fn number(name: &str) -> String {
    let digest = Sha256::digest(name);
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]).to_string()
}

/// The same as Kubernetes writes it.
fn uid(name: &str) -> String {
    let text = hex::encode(Sha256::digest(name));
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..32]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_told_apart_by_their_claims() {
        let github = Claims::github("https://token.actions.example", "acme/app", "larder");
        assert_eq!(github.text("sub"), "repo:acme/app:ref:refs/heads/main");
        assert_eq!(github.text("repository_owner"), "acme");
        let again = Claims::github("https://token.actions.example", "acme/app", "larder");
        assert_eq!(github.get("repository_id"), again.get("repository_id"));
        assert_ne!(github.get("jti"), again.get("jti"));
        let gitlab = Claims::gitlab("https://gitlab.example", "acme/tools/app", "larder");
        assert_eq!(gitlab.text("namespace_path"), "acme/tools");
        assert_eq!(
            gitlab.text("ci_config_ref_uri"),
            "gitlab.example/acme/tools/app//.gitlab-ci.yml@refs/heads/main"
        );
        let circle = Claims::circleci("https://oidc.example/org/o-1", "p-7", "o-1");
        assert_eq!(circle.text("oidc.circleci.com/project-id"), "p-7");
        let kubernetes = Claims::kubernetes("https://cluster.example", "build", "pusher", "larder");
        assert_eq!(kubernetes.text("sub"), "system:serviceaccount:build:pusher");
        assert_eq!(kubernetes.get("aud"), &json!(["larder"]));
        assert_eq!(kubernetes.get("kubernetes.io")["serviceaccount"]["name"], "pusher");
    }

    #[test]
    fn claims_change_as_a_test_wants_them() {
        let claims = Claims::new("i", "s", "a").with("extra", 1).without("jti").shifted(-3600);
        assert_eq!((claims.get("extra"), claims.get("jti")), (&json!(1), &Value::Null));
        let [issued, ends] = ["iat", "exp"].map(|name| claims.get(name).as_i64().unwrap());
        assert_eq!(ends - issued, LIFE);
        assert!(ends < now());
        assert!(claims.anew().get("exp").as_i64().unwrap() > now());
    }
}
