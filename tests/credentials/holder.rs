//! Who holds credentials, how they come by them, and how they lose them.

use serde_json::{Value, json};
use testkit::issuer::Claims;
use testkit::{Method, random_word};

use crate::scene::{Organization, manage, text};

/// A platform that runs jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    GitHub,
    GitLab,
}

/// The user name beside a job's own token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// `oidc`: whichever account the token leads to.
    Any,
    /// The name of the service account.
    Account,
}

/// What is shown to the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    Password,
    PersonalToken,
    ServiceToken,
    /// The token that a platform gave to a job.
    JobToken(Platform, Named),
    /// What such a token was exchanged for (RFC 8693).
    Exchanged(Platform),
    /// What trusted publishing made of it.
    Minted(Platform),
}

/// What ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revocation {
    PasswordChanged,
    TokenDeleted,
    /// By whoever has it.
    TokenBurned,
    BindingDeleted,
    MembershipRemoved,
    AccountDisabled,
    AccountDeleted,
}

/// A user name and what stands for a password, as people give them to a client.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) secret: String,
}

/// An account that may write, with one kind of credentials.
pub(crate) struct Holder<'a> {
    organization: &'a Organization,
    /// Its name among the people, or among the service accounts of the organization.
    name: String,
    is_person: bool,
    password: String,
    /// Names, in paths, the token or the binding that the credentials hang on.
    id: String,
    pub(crate) login: Login,
}

impl<'a> Holder<'a> {
    /// A new account, whose credentials nobody has shown yet.
    pub(crate) fn new(organization: &'a Organization, credential: Credential) -> Self {
        let name = format!("holder-{}", random_word());
        let is_person = matches!(credential, Credential::Password | Credential::PersonalToken);
        let username = if is_person { name.clone() } else { format!("{}+{name}", organization.name) };
        let login = Login { username, secret: String::new() };
        let (password, id) = (random_word(), String::new());
        let mut holder = Self { organization, name, is_person, password, id, login };
        let admin = &organization.fleet.admin;
        if is_person {
            admin.user_create(&holder.name, &holder.password);
        } else {
            let body = json!({ "name": holder.name });
            organization.manage(Method::POST, "/service-accounts", &body, &[201]);
        }
        organization.let_write(&holder.login.username);
        holder.acquire(credential);
        holder
    }

    fn acquire(&mut self, credential: Credential) {
        let fleet = self.organization.fleet;
        match credential {
            Credential::Password => self.login.secret.clone_from(&self.password),
            Credential::PersonalToken => {
                let token = fleet.admin.as_user(&self.name, &self.password).token_create("laptop");
                (self.id, self.login.secret) = (text(&token, "id"), text(&token, "token"));
            }
            Credential::ServiceToken => {
                let token = self.of_account(Method::POST, "/tokens", &json!({ "name": "ci" }), 201);
                (self.id, self.login.secret) = (text(&token, "id"), text(&token, "token"));
            }
            Credential::JobToken(platform, named) => {
                self.login.secret = self.bind(platform);
                if named == Named::Any {
                    "oidc".clone_into(&mut self.login.username);
                }
            }
            Credential::Exchanged(platform) => {
                let form = format!(
                    "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
                     &subject_token_type=urn:ietf:params:oauth:token-type:jwt&subject_token={}",
                    self.bind(platform)
                );
                let nobody = fleet.admin.as_nobody();
                let request = nobody
                    .request(Method::POST, "/token")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form);
                let issued = nobody.send(request).expect(&[200]).json();
                assert_eq!(issued["username"], self.login.username.as_str(), "{issued}");
                self.login.secret = text(&issued, "access_token");
            }
            Credential::Minted(platform) => {
                let body = json!({ "token": self.bind(platform) });
                let nobody = fleet.admin.as_nobody();
                let request = nobody.request(Method::POST, "/_/oidc/mint-token").json(&body);
                self.login.secret = text(&nobody.send(request).expect(&[200]).json(), "token");
                "__token__".clone_into(&mut self.login.username);
            }
        }
    }

    /// Lets the jobs of one repository act as the account; returns the token of such a job.
    fn bind(&mut self, platform: Platform) -> String {
        let fleet = self.organization.fleet;
        let nobody = fleet.admin.as_nobody();
        let audience = text(&nobody.get("/_/oidc/audience").expect(&[200]).json(), "audience");
        let repository = format!("{}/{}", self.organization.name, self.name);
        let issuer = fleet.issuer.url();
        let (claims, number) = match platform {
            Platform::GitHub => (Claims::github(&issuer, &repository, &audience), "repository_id"),
            Platform::GitLab => (Claims::gitlab(&issuer, &repository, &audience), "project_id"),
        };
        let body = json!({
            "name": "release",
            "issuer": issuer,
            "claims": [{ "claim": number, "equals": claims.text(number) }],
        });
        self.id = text(&self.of_account(Method::POST, "/bindings", &body, 201), "id");
        fleet.issuer.token(&claims)
    }

    /// A call about the service account.
    #[track_caller]
    fn of_account(&self, method: Method, rest: &str, body: &Value, expected: u16) -> Value {
        let path = format!("/service-accounts/{}{rest}", self.name);
        let answer = self.organization.manage(method, &path, body, &[expected]);
        if expected == 204 { Value::Null } else { answer.json() }
    }

    /// Takes it away, at whichever server the balancer chooses.
    #[track_caller]
    pub(crate) fn revoke(&self, revocation: Revocation) {
        let admin = &self.organization.fleet.admin;
        let account = format!("/users/{}", self.name);
        let owner = admin.as_user(&self.name, &self.password);
        let disabled = json!({ "disabled": true });
        match (revocation, self.is_person) {
            (Revocation::PasswordChanged, _) => {
                let body = json!({ "current_password": self.password, "new_password": random_word() });
                manage(&owner, Method::POST, "/me/password", &body, &[200, 204]);
            }
            (Revocation::TokenDeleted, true) => {
                owner.token_delete(&self.id);
            }
            (Revocation::TokenDeleted, false) => {
                self.of_account(Method::DELETE, &format!("/tokens/{}", self.id), &Value::Null, 204);
            }
            (Revocation::TokenBurned, _) => {
                let body = json!({ "token": self.login.secret });
                let nobody = admin.as_nobody();
                let request = nobody.request(Method::POST, "/_/oidc/burn-token").json(&body);
                nobody.send(request).expect(&[200]);
            }
            (Revocation::BindingDeleted, _) => {
                self.of_account(Method::DELETE, &format!("/bindings/{}", self.id), &Value::Null, 204);
            }
            (Revocation::MembershipRemoved, _) => {
                admin.member_delete(self.organization.registry(), &self.username());
            }
            (Revocation::AccountDisabled, true) => {
                manage(admin, Method::PATCH, &account, &disabled, &[200]);
            }
            (Revocation::AccountDisabled, false) => {
                self.of_account(Method::PATCH, "", &disabled, 200);
            }
            (Revocation::AccountDeleted, true) => {
                admin.user_delete(&self.name);
            }
            (Revocation::AccountDeleted, false) => {
                self.of_account(Method::DELETE, "", &Value::Null, 204);
            }
        }
    }

    /// Under which it is a member, whatever it signs in with.
    fn username(&self) -> String {
        if self.is_person { self.name.clone() } else { format!("{}+{}", self.organization.name, self.name) }
    }
}
