//! What the tests share: three servers behind a balancer, the issuer whose jobs they trust, and in them an
//! organization for each client.

use std::sync::OnceLock;

use serde_json::Value;
use testkit::issuer::Issuer;
use testkit::{Answer, Api, Method, Options, Place, Replicas, Role, Visibility, random_word};

/// How many servers there are.
pub(crate) const REPLICAS: usize = 3;

/// What everything here is done on.
pub(crate) struct Fleet {
    pub(crate) replicas: Replicas,
    /// Where jobs get their tokens.
    pub(crate) issuer: Issuer,
    /// The administrator, through the balancer.
    pub(crate) admin: Api,
    /// Each server past the balancer.
    pub(crate) each: Vec<Api>,
}

impl Fleet {
    /// One for all tests of the program, started by whoever asks first. A static is never dropped, but everything
    /// that was started ends with the program.
    pub(crate) fn shared() -> &'static Self {
        static FLEET: OnceLock<Fleet> = OnceLock::new();
        FLEET.get_or_init(Self::start)
    }

    fn start() -> Self {
        let issuer = Issuer::start();
        let options = Options::new(env!("CARGO_BIN_EXE_larder"))
            .env("LARDER_LOG__LEVEL", "warn")
            .env("LARDER_AUTH__INTERNAL_ISSUERS", &issuer.url());
        let replicas = Replicas::start(REPLICAS, options);
        let admin = replicas.api();
        let each = (0..REPLICAS).map(|number| replicas.replica_api(number)).collect();
        Self { replicas, issuer, admin, each }
    }

    /// `localhost:PORT` of the balancer.
    pub(crate) fn host(&self) -> String {
        self.replicas.host()
    }
}

/// An organization with the private registry `main`, whose administrator is that of the servers.
pub(crate) struct Organization {
    pub(crate) fleet: &'static Fleet,
    pub(crate) name: String,
}

impl Organization {
    pub(crate) fn new(fleet: &'static Fleet) -> Self {
        let name = format!("org-{}", random_word());
        fleet.admin.organization_create(&name);
        fleet.admin.registry_create(&name, "main", Visibility::Private);
        Self { fleet, name }
    }

    /// The registry, as somewhere to be a member of.
    pub(crate) fn registry(&self) -> Place<'_> {
        Place::Registry(&self.name, "main")
    }

    /// Lets somebody write.
    #[track_caller]
    pub(crate) fn let_write(&self, username: &str) {
        self.fleet.admin.member_put(self.registry(), username, Role::Writer);
    }

    /// The full name of a repository.
    pub(crate) fn repository(&self, name: &str) -> String {
        format!("{}/main/{name}", self.name)
    }

    /// Where Python files go, on the server at this URL.
    pub(crate) fn upload_url(&self, server: &str) -> String {
        format!("{server}/api/v1/{}/main/python", self.name)
    }

    /// A call of the management API below the organization, as its administrator.
    #[track_caller]
    pub(crate) fn manage(&self, method: Method, rest: &str, body: &Value, expected: &[u16]) -> Answer {
        manage(&self.fleet.admin, method, &format!("/organizations/{}{rest}", self.name), body, expected)
    }
}

/// A call of the management API; `path` starts behind `/api/v1`.
#[track_caller]
pub(crate) fn manage(caller: &Api, method: Method, path: &str, body: &Value, expected: &[u16]) -> Answer {
    let request = caller.request(method, &format!("/api/v1{path}"));
    caller.send(if body.is_null() { request } else { request.json(body) }).expect(expected)
}

/// A member of an answer that has to be text.
#[track_caller]
pub(crate) fn text(answer: &Value, member: &str) -> String {
    answer[member].as_str().unwrap_or_else(|| panic!("{member} is no text: {answer}")).to_owned()
}
