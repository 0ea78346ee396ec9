//! Two organizations with everybody who may ask for something there, for tests of rights.

use access::{AccountKind, Limit, Principal, TokenScope, UserPrincipal};
use clock::{Clock, Timestamp};
use db::Db;

use crate::error::{Error, ErrorKind};
use crate::grant::{Granted, MembersManage, OrganizationMembersManage};
use crate::{Caller, Refusal, Registry, Settings};

// Numbers that the database gives out itself begin below these.
pub(crate) const ADA: i64 = 1001;
pub(crate) const BOB: i64 = 1002;
pub(crate) const EVE: i64 = 1003;
pub(crate) const ROOT: i64 = 1004;
pub(crate) const ACME_CI: i64 = 1005;
pub(crate) const GLOBEX_CI: i64 = 1006;

/// Ada runs acme with the registries prod (private) and open (public), Eve runs globex with lab (private). Both have
/// a machine. Bob is new, Root runs the instance.
const ROWS: [&str; 14] = [
    "INSERT INTO users (id, username, email, created_at) VALUES (1001, 'ada', 'ada@example.com', 0)",
    "INSERT INTO users (id, username, email, created_at) VALUES (1002, 'bob', 'bob@example.com', 0)",
    "INSERT INTO users (id, username, email, created_at) VALUES (1003, 'eve', 'eve@example.com', 0)",
    "INSERT INTO users (id, username, email, system_admin, created_at)
     VALUES (1004, 'root', 'root@example.com', 1, 0)",
    "INSERT INTO organizations (id, name, created_at) VALUES (2001, 'acme', 0)",
    "INSERT INTO organizations (id, name, created_at) VALUES (2002, 'globex', 0)",
    "INSERT INTO users (id, username, email, kind, organization_id, created_at)
     VALUES (1005, 'acme+ci', '', 'service', 2001, 0)",
    "INSERT INTO users (id, username, email, kind, organization_id, created_at)
     VALUES (1006, 'globex+ci', '', 'service', 2002, 0)",
    "INSERT INTO organization_members (organization_id, user_id, role) VALUES (2001, 1001, 'admin')",
    "INSERT INTO organization_members (organization_id, user_id, role) VALUES (2002, 1003, 'admin')",
    "INSERT INTO registries (id, organization_id, name, path, visibility, created_at)
     VALUES (3001, 2001, 'prod', 'acme/prod/', 'private', 0)",
    "INSERT INTO registries (id, organization_id, name, path, visibility, created_at)
     VALUES (3002, 2001, 'open', 'acme/open/', 'public', 0)",
    "INSERT INTO registries (id, organization_id, name, path, visibility, created_at)
     VALUES (3003, 2002, 'lab', 'globex/lab/', 'private', 0)",
    "INSERT INTO repositories (id, registry_id, name, format, created_at) VALUES (4001, 3001, 'app', 'oci', 0)",
];

/// A registry with these rows in its database.
pub(crate) struct Scene {
    pub(crate) registry: Registry,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    _kept: (db::testing::Guard, tempfile::TempDir),
}

pub(crate) async fn scene() -> Scene {
    let (db, database) = db::testing::temporary().await;
    let folder = tempfile::tempdir().unwrap();
    let options = blobs::Options {
        location: blobs::Location::Disk(folder.path().join("store")),
        durability: blobs::Durability::Relaxed,
    };
    let store = blobs::Store::open(&options).await.unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_000_000));
    let registry = Registry::new(db.clone(), store, clock.clone(), Settings::default());
    let scene = Scene { registry, db, clock, _kept: (database, folder) };
    for row in ROWS {
        scene.change(row).await;
    }
    scene
}

impl Scene {
    /// Runs one statement that no index has to serve.
    pub(crate) async fn change(&self, sql: &'static str) {
        self.db
            .write::<(), db::Error, _>(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move { transaction.exec(sql, &[]).await.map(|_| ()) })
            })
            .await
            .unwrap();
    }

    /// Puts a user into a group of the provider `sso`.
    pub(crate) async fn group_join(&self, user_id: i64, group: &'static str) {
        self.db
            .write::<(), db::Error, _>(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move {
                    let sql =
                        "INSERT INTO user_groups (user_id, provider, group_name) VALUES ($1, 'sso', $2)";
                    transaction.exec(sql, db::params![user_id, group]).await.map(|_| ())
                })
            })
            .await
            .unwrap();
    }

    /// The right to give roles on acme.
    pub(crate) async fn manage_acme(&self) -> Granted<OrganizationMembersManage> {
        self.registry.authorize_organization(&person(ADA, "ada"), &"acme".parse().unwrap()).await.unwrap()
    }

    /// The right to give roles on acme/prod.
    pub(crate) async fn manage_prod(&self) -> Granted<MembersManage> {
        let (organization, registry) = ("acme".parse().unwrap(), "prod".parse().unwrap());
        self.registry.authorize_registry(&person(ADA, "ada"), &organization, &registry).await.unwrap()
    }
}

/// Somebody with credentials for everything that they may do.
pub(crate) fn person(id: i64, name: &str) -> Caller {
    let (system_admin, kind) = (id == ROOT, AccountKind::Person);
    Caller {
        principal: Principal::User(UserPrincipal { id, name: name.into(), system_admin, kind }),
        limit: Limit::NONE,
    }
}

/// The same with a token that is limited to these scopes.
pub(crate) fn limited(caller: Caller, scopes: &[(&str, &[access::Action])]) -> Caller {
    let scopes: Vec<TokenScope> = scopes
        .iter()
        .map(|(pattern, actions)| TokenScope {
            repositories: pattern.parse().unwrap(),
            actions: actions.iter().copied().collect(),
        })
        .collect();
    Caller { limit: Limit::of_scopes(Some(scopes.into())), ..caller }
}

pub(crate) fn nobody() -> Caller {
    Caller { principal: Principal::Anonymous, limit: Limit::NONE }
}

/// Why a caller was turned away.
pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Refusal {
    match outcome.unwrap_err().kind() {
        ErrorKind::Refused(refusal) => refusal.clone(),
        other => panic!("not refused but {other:?}"),
    }
}
