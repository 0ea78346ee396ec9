use super::*;
use crate::principal::UserPrincipal;

fn user(system_admin: bool) -> Principal {
    Principal::User(UserPrincipal { id: 7, name: "alice".into(), system_admin })
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
    let content = Action::ALL.into_iter().map(Operation::from);
    let management = ManagementAction::ALL.into_iter().map(Operation::from);
    content.chain(management).chain(InstanceAction::ALL.into_iter().map(Operation::from))
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
