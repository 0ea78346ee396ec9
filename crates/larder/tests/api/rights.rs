//! The rights matrix: who may do what where, every cell, over the surfaces that everybody uses.
//!
//! A row is one call; a column is somebody. A cell is the status that the call is answered with: what differs
//! between 401, 403 and 404 is as much part of the right as what is allowed. Rows of `/v2/` are asked twice, with
//! the caller's own credentials and with a token from the token service.

mod content;
mod management;
mod organization;

use std::sync::OnceLock;

use serde_json::{Value, json};
use testkit::python::{BuiltFile, Wheel};
use testkit::{Answer, Api, Place, Role, Server, Visibility, random_word};

use crate::scene::{Calls as _, Organization, Pushed, options, small_manifest, system_admin_of, user_of};

/// Who asks, in the order of the columns: nobody; an administrator of another organization; viewer, writer and
/// administrator of the organization; the same of the registries; a system administrator who is a member of
/// nothing; a service account that writes in the registries, with its token; and one that administers the
/// organization.
const COLUMNS: [&str; 11] = [
    "anonymous",
    "administrator of another organization",
    "viewer of the organization",
    "writer of the organization",
    "administrator of the organization",
    "viewer of the registry",
    "writer of the registry",
    "administrator of the registry",
    "system administrator",
    "service account that writes in the registry",
    "service account that administers the organization",
];

/// One call, made with somebody's credentials.
type Call = fn(&Stage, &Api) -> Answer;

/// One row: what is done, how, and the statuses in the order of [`COLUMNS`].
struct Row(&'static str, Call, &'static str);

/// A provider that the server is configured with. Nobody signs in there: it has to have a name.
const PROVIDER: &str = "company";

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    Server::shared(&SERVER, || {
        options()
            .env("LARDER_AUTH__PROVIDERS__COMPANY__ISSUER", "https://sign-in.example.com")
            .env("LARDER_AUTH__PROVIDERS__COMPANY__CLIENT_ID", "larder")
            .env("LARDER_SERVER__PUBLIC_URL", "https://registry.example.com")
    })
}

/// What the calls are aimed at, and who makes them.
struct Stage {
    organization: Organization,
    /// Who prepares what a call takes away: an administrator of the organization.
    owner: Api,
    /// In the order of [`COLUMNS`].
    callers: Vec<Api>,
    /// An image under the tag `kept`, in the same repository of each registry.
    image: Pushed,
    layer: String,
    /// A file of the same project in each registry.
    wheel: BuiltFile,
}

/// The private registry, and the one that anybody may pull from.
const REGISTRIES: [(&str, Visibility); 2] = [("main", Visibility::Private), ("open", Visibility::Public)];

impl Stage {
    fn new() -> Self {
        let root = server().api();
        let organization = Organization::on(&root);
        organization.registry("open", Visibility::Public);
        let owner = organization.member(Role::Admin);
        let wheel = Wheel::new(&format!("pkg-{}", random_word()), "1.0").build();
        let mut stage = Self {
            callers: Vec::new(),
            image: Pushed { digest: String::new(), bytes: Vec::new(), media_type: String::new() },
            layer: String::new(),
            organization,
            owner,
            wheel,
        };
        for (registry, _) in REGISTRIES {
            let repository = stage.repository(registry);
            stage.layer = stage.owner.blob_push(&repository, b"layer");
            let mut manifest = small_manifest();
            manifest["annotations"]["larder.test"] = "the same in both".into();
            stage.image = stage.owner.image_push(&repository, "kept", &manifest);
            stage.owner.python_upload(&stage.organization.name, registry, &stage.wheel).expect(&[200]);
        }
        stage.callers = stage.everybody(&root);
        assert_eq!(stage.callers.len(), COLUMNS.len());
        stage
    }

    fn everybody(&self, root: &Api) -> Vec<Api> {
        let elsewhere = Organization::on(root);
        let of_registries = |role: Role| {
            let user = user_of(root);
            for (registry, _) in REGISTRIES {
                root.member_put(Place::Registry(&self.organization.name, registry), user.username(), role);
            }
            user
        };
        let writing = self.machine();
        for (registry, _) in REGISTRIES {
            let place = Place::Registry(&self.organization.name, registry);
            root.member_put(place, writing.username(), Role::Writer);
        }
        let administering = self.machine();
        root.member_put(Place::Organization(&self.organization.name), administering.username(), Role::Admin);
        vec![
            root.as_nobody(),
            elsewhere.member(Role::Admin),
            self.organization.member(Role::Viewer),
            self.organization.member(Role::Writer),
            self.organization.member(Role::Admin),
            of_registries(Role::Viewer),
            of_registries(Role::Writer),
            of_registries(Role::Admin),
            system_admin_of(server()),
            writing,
            administering,
        ]
    }

    /// A service account of the organization, signed in with a token of its own.
    fn machine(&self) -> Api {
        let account = self.account();
        let path = self.at(&format!("/service-accounts/{account}/tokens"));
        let made = self.owner.manage("POST", &path, &json!({ "name": "matrix" })).expect(&[201]).json();
        let token = made["token"].as_str().expect("a new token is shown");
        self.owner.as_user(&format!("{}+{account}", self.organization.name), token)
    }

    /// A new service account, by the name behind the organization's.
    fn account(&self) -> String {
        let name = format!("m-{}", &random_word()[..12]);
        self.owner.manage("POST", &self.at("/service-accounts"), &json!({ "name": name })).expect(&[201]);
        name
    }

    /// The full name of the repository in a registry.
    fn repository(&self, registry: &str) -> String {
        format!("{}/{registry}/app", self.organization.name)
    }

    /// A path below the organization in the management API.
    fn at(&self, rest: &str) -> String {
        format!("/organizations/{}{rest}", self.organization.name)
    }

    /// Makes something with the owner's rights, so that a call can take it away, and returns a field of the
    /// answer.
    fn made(&self, path: &str, body: &Value, field: &str) -> String {
        let answer = self.owner.manage("POST", path, body).expect(&[201]);
        answer.json()[field].as_str().unwrap_or_else(|| panic!("no {field}: {answer}")).to_owned()
    }
}

/// The statuses of a row; the bars are for the reader.
fn statuses(row: &Row) -> Vec<u16> {
    let cells: Vec<u16> = row
        .2
        .split([' ', '|'])
        .filter(|cell| !cell.is_empty())
        .map(|cell| cell.parse().expect("a cell is a status"))
        .collect();
    assert_eq!(cells.len(), COLUMNS.len(), "{}: a cell is missing", row.0);
    cells
}

/// Asks every row as everybody, and compares. All that differs is shown at once.
#[track_caller]
fn check(stage: &Stage, rows: &[Row], sign: impl Fn(&Api) -> Api, expected: impl Fn(usize, u16) -> u16) {
    let mut wrong = Vec::new();
    for row in rows {
        let cells = statuses(row);
        for (column, caller) in stage.callers.iter().enumerate() {
            let answer = row.1(stage, &sign(caller));
            let expected = expected(column, cells[column]);
            if answer.status != expected {
                wrong.push(format!("{}, {}: expected {expected}: {answer}", row.0, COLUMNS[column]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn t10_the_matrix_of_the_registry_protocol() {
    let stage = Stage::new();
    let scopes: Vec<String> = REGISTRIES
        .iter()
        .flat_map(|(registry, _)| ["", "-new"].map(|end| format!("{}{end}", stage.repository(registry))))
        .map(|repository| format!("repository:{repository}:pull,push,delete"))
        .collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    check(&stage, content::PROTOCOL, |caller| caller.as_bearer(&caller.token(&scopes)), |_, status| status);
    // Who sends nothing is asked to sign in, whatever is there.
    let direct = |column: usize, status: u16| if column == 0 { 401 } else { status };
    check(&stage, content::PROTOCOL, Clone::clone, direct);
}

#[test]
fn t10_the_matrix_of_the_python_index() {
    let stage = Stage::new();
    check(&stage, content::PYTHON, Clone::clone, |_, status| status);
}

#[test]
fn t10_the_matrix_of_organizations() {
    let stage = Stage::new();
    check(&stage, organization::ROWS, Clone::clone, |_, status| status);
}

#[test]
fn t10_the_matrix_of_registries() {
    let stage = Stage::new();
    check(&stage, management::REGISTRY, Clone::clone, |_, status| status);
}

#[test]
fn t10_the_matrix_of_packages() {
    let stage = Stage::new();
    check(&stage, management::PACKAGES, Clone::clone, |_, status| status);
}

#[test]
fn t10_the_matrix_of_the_instance() {
    let stage = Stage::new();
    check(&stage, management::INSTANCE, Clone::clone, |_, status| status);
}

/// What can be done with somebody else's account is a matter of where the two meet.
#[test]
fn t10_lists_show_what_one_may_see() {
    let stage = Stage::new();
    let name = &stage.organization.name;
    for (column, caller) in stage.callers.iter().enumerate().skip(1) {
        let who = COLUMNS[column];
        let (is_member, is_system_admin) = (column != 1 && column != 8, column == 8);
        let listed = |path: &str, name: &str| {
            let list = caller.manage("GET", &format!("{path}?limit=200"), &Value::Null).expect(&[200]).json();
            list["items"].as_array().into_iter().flatten().any(|item| item["name"] == name)
        };
        // The list of the server's organizations may be longer than a page.
        if !is_system_admin {
            assert_eq!(listed("/organizations", name), is_member, "{who} and the list of organizations");
        }
        if is_member {
            assert!(listed(&stage.at("/registries"), "main"), "{who} and the list of registries");
        }
        let catalog = caller.ask("GET", "/v2/_catalog").expect(&[200]).json();
        let holds = |repository: &str| {
            catalog["repositories"].as_array().into_iter().flatten().any(|found| found == repository)
        };
        assert_eq!(holds(&stage.repository("main")), is_member, "{who} and the catalog: {catalog}");
        assert!(holds(&stage.repository("open")), "{who} and the catalog: {catalog}");
    }
}
