//! What the tests of machines share: a server that trusts one issuer of the tests' own, and on it organizations
//! with a service account each.

use std::sync::OnceLock;

use serde_json::{Value, json};
use testkit::issuer::{Claims, Issuer};
use testkit::{Answer, Api, Place, Role, Server};

use crate::scene::{Calls as _, Organization, options};

/// The issuer that the shared server of these tests trusts.
pub(super) fn issuer() -> &'static Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    ISSUER.get_or_init(Issuer::start)
}

/// The server of all of these tests that do not need one of their own.
pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    Server::shared(&SERVER, || options().env("LARDER_AUTH__INTERNAL_ISSUERS", &issuer().url()))
}

/// An organization with the registry `main` and the service account `deploy`.
pub(super) struct Machine {
    pub(super) organization: Organization,
    /// An administrator of the organization.
    pub(super) owner: Api,
    /// `http://localhost:PORT`, which is the audience of a binding that names none.
    pub(super) url: String,
    /// The issuer of its jobs.
    pub(super) issuer: String,
}

impl Machine {
    /// A new one, which may write in the whole organization.
    pub(super) fn new() -> Self {
        Self::on(server(), &issuer().url())
    }

    /// The same on this server, for the jobs of this issuer.
    pub(super) fn on(server: &Server, issuer: &str) -> Self {
        let machine = Self::without_rights_on(server, issuer);
        machine.is(Role::Writer);
        machine
    }

    /// One that may do nothing yet.
    pub(super) fn without_rights_on(server: &Server, issuer: &str) -> Self {
        let organization = Organization::on(&server.api());
        let owner = organization.member(Role::Admin);
        let machine = Self { organization, owner, url: server.url(), issuer: issuer.to_owned() };
        machine.manage("POST", "/service-accounts", &json!({ "name": "deploy" })).expect(&[201]);
        machine
    }

    /// Gives the account a role on the organization.
    pub(super) fn is(&self, role: Role) {
        self.owner.member_put(Place::Organization(&self.organization.name), &self.username(), role);
    }

    /// Under which the account signs in.
    pub(super) fn username(&self) -> String {
        format!("{}+deploy", self.organization.name)
    }

    /// The full name of a repository.
    pub(super) fn repository(&self, name: &str) -> String {
        self.organization.repository(name)
    }

    /// A call below the organization, as its administrator.
    #[track_caller]
    pub(super) fn manage(&self, method: &str, rest: &str, body: &Value) -> Answer {
        self.owner.manage(method, &self.at(rest), body)
    }

    /// A path below the organization.
    pub(super) fn at(&self, rest: &str) -> String {
        format!("/organizations/{}{rest}", self.organization.name)
    }

    /// A call below the service account.
    #[track_caller]
    pub(super) fn of_account(&self, method: &str, rest: &str, body: &Value) -> Answer {
        self.manage(method, &format!("/service-accounts/deploy{rest}"), body)
    }

    /// A new token of the account, as it is shown when it is made.
    #[track_caller]
    pub(super) fn token(&self, more: Value) -> Value {
        let mut body = json!({ "name": "ci" });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        self.of_account("POST", "/tokens", &body).expect(&[201]).json()
    }

    /// The account, signed in with a new token.
    #[track_caller]
    pub(super) fn signed_in(&self) -> Api {
        self.signed_in_with(&text(&self.token(Value::Null), "token"))
    }

    /// The account, signed in with this token.
    pub(super) fn signed_in_with(&self, token: &str) -> Api {
        self.owner.as_user(&self.username(), token)
    }

    /// Whoever brings this token, without saying who that is.
    pub(super) fn bringing(&self, token: &str) -> Api {
        self.owner.as_user("__token__", token)
    }

    /// A job that presents its own token with the user name that stands for any account.
    pub(super) fn job(&self, token: &str) -> Api {
        self.owner.as_user("oidc", token)
    }

    /// The repository at the platform whose jobs these are; nobody else has it.
    pub(super) fn source(&self) -> String {
        format!("{}/app", self.organization.name)
    }

    /// What the platform says of a job of that repository.
    pub(super) fn claims(&self) -> Claims {
        Claims::github(&self.issuer, &self.source(), &self.url)
    }

    /// A binding for the jobs of that repository, with more members or other ones.
    #[track_caller]
    pub(super) fn bind(&self, more: Value) -> String {
        text(&self.try_bind(more).expect(&[201]).json(), "id")
    }

    /// The same, whatever the answer is.
    pub(super) fn try_bind(&self, more: Value) -> Answer {
        let claims = self.claims();
        let mut body = json!({
            "name": "release",
            "issuer": self.issuer,
            "claims": [{ "claim": "repository_id", "equals": claims.text("repository_id") }],
        });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        self.of_account("POST", "/bindings", &body)
    }

    /// A call of `POST /token` for the token of a job (RFC 8693), with more parameters.
    #[track_caller]
    pub(super) fn exchange(&self, token: &str, more: &str) -> Answer {
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}\
             &subject_token_type=urn:ietf:params:oauth:token-type:jwt{more}"
        );
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.owner.as_nobody().call("POST", "/token", &headers, form)
    }

    /// A call of the trusted publishing endpoint `mint-token` or `burn-token`.
    #[track_caller]
    pub(super) fn publishing(&self, endpoint: &str, token: &str) -> Answer {
        let body = json!({ "token": token }).to_string();
        let headers = [("content-type", "application/json")];
        self.owner.as_nobody().call("POST", &format!("/_/oidc/{endpoint}"), &headers, body)
    }

    /// What the test endpoint says of a token: whether it is accepted, and of each binding why not.
    #[track_caller]
    pub(super) fn trials(&self, token: &str) -> Value {
        self.manage("POST", "/bindings:test", &json!({ "token": token })).expect(&[200]).json()
    }

    /// Asserts that a caller can push to the repository `app`, and no more says so than an upload that is opened.
    #[track_caller]
    pub(super) fn may_push(&self, caller: &Api) {
        let location = caller.upload_open(&self.repository("app"));
        caller.ask("DELETE", &location).expect(&[204]);
    }

    /// The status of an attempt to push to the repository `app`.
    #[track_caller]
    pub(super) fn push(&self, caller: &Api) -> u16 {
        let answer = caller.ask("POST", &format!("/v2/{}/blobs/uploads/", self.repository("app")));
        if let Some(location) = answer.header("location") {
            caller.ask("DELETE", location).expect(&[204]);
        }
        answer.status
    }
}

/// A member of an answer that has to be text.
#[track_caller]
pub(super) fn text(answer: &Value, member: &str) -> String {
    answer[member].as_str().unwrap_or_else(|| panic!("{member} is no text: {answer}")).to_owned()
}
