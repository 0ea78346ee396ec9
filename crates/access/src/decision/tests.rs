use super::*;
use crate::principal::{AccountKind, UserPrincipal};

fn user(system_admin: bool) -> Principal {
    Principal::User(UserPrincipal { id: 7, name: "alice".into(), system_admin, kind: AccountKind::Person })
}

fn roles() -> impl Iterator<Item = Option<Role>> + Clone {
    [None].into_iter().chain(Role::ALL.into_iter().map(Some))
}

fn visibilities() -> impl Iterator<Item = Option<Visibility>> + Clone {
    [None].into_iter().chain(Visibility::ALL.into_iter().map(Some))
}

/// Every combination of the facts.
fn all_facts() -> impl Iterator<Item = Facts> {
    roles().flat_map(|organization_role| {
        roles().flat_map(move |registry_role| {
            visibilities().map(move |visibility| Facts { organization_role, registry_role, visibility })
        })
    })
}

fn operations() -> impl Iterator<Item = Operation> {
    Operation::ALL.into_iter()
}

/// One letter a role, in the order none, viewer, writer, admin: `y` may, `-` may not.
fn row(operation: impl Into<Operation> + Copy, visibility: Option<Visibility>, on_registry: bool) -> String {
    roles()
        .map(|role| {
            let facts = if on_registry {
                Facts { registry_role: role, visibility, ..Facts::default() }
            } else {
                Facts { organization_role: role, visibility, ..Facts::default() }
            };
            if decide(&user(false), operation, &facts).is_allowed() { 'y' } else { '-' }
        })
        .collect()
}

#[test]
fn role_by_action_by_visibility() {
    use Visibility::{Private, Public};
    let table = [
        (Action::Pull, None, "-yyy"),
        (Action::Pull, Some(Private), "-yyy"),
        (Action::Pull, Some(Public), "yyyy"),
        (Action::Push, None, "--yy"),
        (Action::Push, Some(Private), "--yy"),
        (Action::Push, Some(Public), "--yy"),
        (Action::Delete, None, "--yy"),
        (Action::Delete, Some(Private), "--yy"),
        (Action::Delete, Some(Public), "--yy"),
    ];
    for (action, visibility, expected) in table {
        for on_registry in [false, true] {
            assert_eq!(
                row(action, visibility, on_registry),
                expected,
                "{action} {visibility:?} on registry: {on_registry}"
            );
        }
    }
}

#[test]
fn management_by_role() {
    use ManagementAction as M;
    // Action, with the role on the organization, with the role on a registry only.
    let table = [
        (M::OrganizationRead, "-yyy", "-yyy"),
        (M::OrganizationUpdate, "---y", "----"),
        (M::OrganizationDelete, "---y", "----"),
        (M::OrganizationMembersList, "-yyy", "----"),
        (M::OrganizationMembersManage, "---y", "----"),
        (M::RegistryCreate, "---y", "----"),
        (M::RegistryRead, "-yyy", "-yyy"),
        (M::RegistryManage, "---y", "---y"),
        (M::RegistryMembersList, "--yy", "--yy"),
        (M::RegistryMembersManage, "---y", "---y"),
    ];
    assert_eq!(table.len(), ManagementAction::ALL.len());
    for (action, by_organization, by_registry) in table {
        for visibility in [None, Some(Visibility::Private)] {
            assert_eq!(row(action, visibility, false), by_organization, "{action:?}");
            assert_eq!(row(action, visibility, true), by_registry, "{action:?}");
        }
    }
    assert_eq!(row(M::RegistryRead, Some(Visibility::Public), true), "yyyy");
}

#[test]
fn a_public_registry_opens_pulling_and_nothing_else_to_anonymous() {
    for facts in all_facts() {
        for operation in operations() {
            let expected = facts.visibility == Some(Visibility::Public)
                && matches!(
                    operation,
                    Operation::Content(Action::Pull) | Operation::Management(ManagementAction::RegistryRead)
                );
            assert_eq!(decide(&Principal::Anonymous, operation, &facts).is_allowed(), expected);
        }
    }
}

#[test]
fn a_system_admin_without_a_role_runs_the_instance_and_reads_nothing() {
    let facts = Facts { visibility: Some(Visibility::Private), ..Facts::default() };
    for operation in operations() {
        let expected = matches!(
            operation,
            Operation::Instance(_)
                | Operation::Management(
                    ManagementAction::OrganizationRead | ManagementAction::OrganizationDelete
                )
        );
        assert_eq!(decide(&user(true), operation, &facts).is_allowed(), expected, "{operation:?}");
        assert!(!decide(&user(false), operation, &facts).is_allowed(), "{operation:?}");
    }
}

#[test]
fn being_system_admin_changes_no_answer_about_registries() {
    for facts in all_facts() {
        for operation in operations() {
            let about_registry = match operation {
                Operation::Content(_) => true,
                Operation::Management(action) => !matches!(
                    action,
                    ManagementAction::OrganizationRead | ManagementAction::OrganizationDelete
                ),
                Operation::Instance(_) => false,
            };
            if about_registry {
                assert_eq!(decide(&user(true), operation, &facts), decide(&user(false), operation, &facts));
            }
        }
    }
}

#[test]
fn more_role_never_means_less_right() {
    for facts in all_facts() {
        for operation in operations() {
            if !decide(&user(false), operation, &facts).is_allowed() {
                continue;
            }
            for role in Role::ALL {
                let more = Facts {
                    organization_role: facts.organization_role.max(Some(role)),
                    registry_role: facts.registry_role.max(Some(role)),
                    ..facts
                };
                assert!(decide(&user(false), operation, &more).is_allowed(), "{operation:?} {facts:?}");
            }
        }
    }
}

#[test]
fn the_highest_role_counts() {
    let facts = Facts {
        organization_role: Some(Role::Viewer),
        registry_role: Some(Role::Writer),
        visibility: Some(Visibility::Private),
    };
    assert_eq!(facts.role(), Some(Role::Writer));
    assert!(decide(&user(false), Action::Push, &facts).is_allowed());
}

/// Every kind of caller: who it is, and what is known of it.
fn callers() -> [(&'static str, Principal, Facts); 12] {
    let stranger = |visibility| Facts { visibility: Some(visibility), ..Facts::default() };
    let on_registry = |role| Facts { registry_role: Some(role), ..stranger(Visibility::Private) };
    let on_organization = |role| Facts { organization_role: Some(role), ..stranger(Visibility::Private) };
    [
        ("anonymous, private", Principal::Anonymous, stranger(Visibility::Private)),
        ("anonymous, public", Principal::Anonymous, stranger(Visibility::Public)),
        ("signed in, private", user(false), stranger(Visibility::Private)),
        ("signed in, public", user(false), stranger(Visibility::Public)),
        ("viewer of the registry", user(false), on_registry(Role::Viewer)),
        ("writer of the registry", user(false), on_registry(Role::Writer)),
        ("admin of the registry", user(false), on_registry(Role::Admin)),
        ("viewer of the organization", user(false), on_organization(Role::Viewer)),
        ("writer of the organization", user(false), on_organization(Role::Writer)),
        ("admin of the organization", user(false), on_organization(Role::Admin)),
        ("system admin", user(true), stranger(Visibility::Private)),
        ("operator", Principal::Operator, Facts::default()),
    ]
}

/// The whole matrix. A column for each of [`callers`], in their order: `y` may, `-` may not.
#[test]
fn the_rights_matrix() {
    #[rustfmt::skip]
    let matrix = [
        //                            an  si  registry organization sys op
        //                            -+  -+  vwa      vwa
        ("artifact:pull",               "-y -y yyy yyy - -"),
        ("artifact:push",               "-- -- -yy -yy - -"),
        ("artifact:delete",             "-- -- -yy -yy - -"),
        ("organization:read",           "-- -- yyy yyy y y"),
        ("organization:update",         "-- -- --- --y - y"),
        ("organization:delete",         "-- -- --- --y y y"),
        ("organization-members:list",   "-- -- --- yyy - y"),
        ("organization-members:manage", "-- -- --- --y - y"),
        ("registry:create",             "-- -- --- --y - y"),
        ("registry:read",               "-y -y yyy yyy - y"),
        ("registry:manage",             "-- -- --y --y - y"),
        ("registry-members:list",       "-- -- -yy -yy - y"),
        ("registry-members:manage",     "-- -- --y --y - y"),
        ("users:manage",                "-- -- --- --- y y"),
        ("organization:create",         "-- -- --- --- y y"),
        ("organizations:list",          "-- -- --- --- y y"),
    ];
    assert_eq!(matrix.map(|(word, _)| word), Operation::ALL.map(Operation::as_str));
    for (word, cells) in matrix {
        let operation: Operation = word.parse().unwrap();
        let cells = cells.chars().filter(|cell| *cell != ' ');
        assert_eq!(cells.clone().count(), callers().len());
        for ((name, principal, facts), cell) in callers().into_iter().zip(cells) {
            assert_eq!(decide(&principal, operation, &facts).is_allowed(), cell == 'y', "{word}: {name}");
        }
    }
}

#[test]
fn the_role_that_is_named_as_needed_is_the_lowest_that_does() {
    for operation in operations() {
        for role in Role::ALL {
            let facts = Facts { organization_role: Some(role), ..Facts::default() };
            let expected = operation.role_needed().is_some_and(|needed| role >= needed);
            assert_eq!(decide(&user(false), operation, &facts).is_allowed(), expected, "{operation} {role}");
        }
    }
}

/// Whoever explains a decision may look at one source of rights after the other.
#[test]
fn sources_of_rights_count_one_by_one() {
    for facts in all_facts() {
        let sources = [
            Facts { organization_role: facts.organization_role, ..Facts::default() },
            Facts { registry_role: facts.registry_role, ..Facts::default() },
            Facts { visibility: facts.visibility, ..Facts::default() },
        ];
        for operation in operations() {
            let by_one = sources.iter().any(|source| decide(&user(false), operation, source).is_allowed());
            assert_eq!(decide(&user(false), operation, &facts).is_allowed(), by_one, "{operation} {facts:?}");
        }
    }
}

#[test]
fn a_machine_never_runs_the_instance() {
    let Principal::User(account) = user(true) else { unreachable!("a user is one") };
    let machine = Principal::User(UserPrincipal { kind: AccountKind::Service, ..account });
    for operation in operations() {
        let expected = decide(&user(false), operation, &Facts::default());
        assert_eq!(decide(&machine, operation, &Facts::default()), expected, "{operation}");
    }
}
