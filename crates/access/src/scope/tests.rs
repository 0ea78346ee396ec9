use proptest::prelude::*;

use super::*;

fn repository(name: &str, actions: &str) -> Scope {
    let actions = actions.split(',').map(|word| word.parse().unwrap()).collect();
    Scope { kind: ScopeKind::Repository(name.to_owned()), actions }
}

#[test]
fn forms_that_clients_send() {
    let table = [
        ("repository:acme/prod/app:pull", vec![repository("acme/prod/app", "pull")]),
        ("repository:acme/prod/app:pull,push", vec![repository("acme/prod/app", "pull,push")]),
        ("repository:acme/prod/app:*", vec![repository("acme/prod/app", "pull,push,delete")]),
        ("repository(plugin):acme/prod/app:pull", vec![repository("acme/prod/app", "pull")]),
        ("repository:localhost:5000/app:pull", vec![repository("localhost:5000/app", "pull")]),
        (
            "repository:a/b/c:pull repository:d/e/f:push",
            vec![repository("a/b/c", "pull"), repository("d/e/f", "push")],
        ),
        ("repository:a/b/c:pull  repository:a/b/c:push", vec![repository("a/b/c", "pull,push")]),
        ("registry:catalog:*", vec![Scope { kind: ScopeKind::RegistryCatalog, actions: ActionSet::ALL }]),
        ("", vec![]),
        ("   ", vec![]),
    ];
    for (text, expected) in table {
        let list = parse_list([text]);
        assert_eq!(list.scopes, expected, "{text}");
        assert_eq!(list.problems, vec![], "{text}");
    }
}

#[test]
fn repeated_parameters_and_spaces_mean_the_same() {
    let repeated = parse_list(["repository:a/b/c:pull", "repository:d/e/f:pull"]);
    assert_eq!(repeated, parse_list(["repository:a/b/c:pull repository:d/e/f:pull"]));
}

#[test]
fn an_action_list_may_be_empty() {
    let list = parse_list(["repository:a/b/c:"]);
    assert_eq!(list.scopes[0].actions, ActionSet::NONE);
    assert!(list.problems.is_empty());
}

#[test]
fn what_is_not_understood_is_reported_and_the_rest_is_used() {
    let list = parse_list([
        "repository repository::pull :a:pull plugin:x:pull registry:all:* repository:a/b/c:pull,admin,PUSH",
    ]);
    assert_eq!(list.scopes.len(), 2);
    assert_eq!(list.scopes[0].kind, ScopeKind::Other);
    assert_eq!(list.scopes[1], repository("a/b/c", "pull"));
    let malformed = list.problems.iter().filter(|problem| matches!(problem, ScopeProblem::Malformed(_)));
    assert_eq!(malformed.count(), 3);
    assert!(list.problems.contains(&ScopeProblem::UnknownType("plugin:x:pull".to_owned())));
    assert!(list.problems.contains(&ScopeProblem::UnknownType("registry:all:*".to_owned())));
    assert!(list.problems.contains(&ScopeProblem::UnknownAction("admin".to_owned())));
    assert!(list.problems.contains(&ScopeProblem::UnknownAction("PUSH".to_owned())));
}

#[test]
fn scopes_beyond_the_limit_are_reported_once() {
    let values: Vec<String> = (0..100).map(|index| format!("repository:a/b/c{index}:pull")).collect();
    let list = parse_list(values.iter().map(String::as_str));
    assert_eq!(list.scopes.len(), MAXIMUM_SCOPES);
    assert_eq!(list.problems, vec![ScopeProblem::TooMany]);
}

#[test]
fn text_beyond_the_limit_is_not_read() {
    let long = format!("repository:{}:pull", "a".repeat(MAXIMUM_BYTES));
    let list = parse_list(["repository:a/b/c:pull", &long, "repository:d/e/f:pull"]);
    assert_eq!(list.scopes, vec![repository("a/b/c", "pull")]);
    assert_eq!(list.problems, vec![ScopeProblem::TooLong]);
    assert_eq!(parse_list(std::iter::repeat_n("", 100_000)).problems, vec![ScopeProblem::TooLong]);
}

#[test]
fn a_token_grants_denies_or_says_nothing() {
    let grants = [
        ScopeGrant {
            name: "a/b/c".to_owned(),
            granted: ActionSet::of(Action::Pull),
            denied: ActionSet::of(Action::Push),
        },
        ScopeGrant {
            name: "a/b/c".to_owned(),
            granted: ActionSet::of(Action::Push),
            denied: ActionSet::NONE,
        },
        ScopeGrant { name: "d/e/f".to_owned(), granted: ActionSet::NONE, denied: ActionSet::ALL },
    ];
    assert_eq!(evaluate(&grants, "a/b/c", Action::Pull), ScopeVerdict::Granted);
    assert_eq!(evaluate(&grants, "a/b/c", Action::Push), ScopeVerdict::Granted);
    assert_eq!(evaluate(&grants, "a/b/c", Action::Delete), ScopeVerdict::Silent);
    assert_eq!(evaluate(&grants, "d/e/f", Action::Pull), ScopeVerdict::Denied);
    assert_eq!(evaluate(&grants, "a/b", Action::Pull), ScopeVerdict::Silent);
    assert_eq!(evaluate(&[], "a/b/c", Action::Pull), ScopeVerdict::Silent);
}

proptest! {
    #[test]
    fn any_text_is_read_within_bounds(values in prop::collection::vec(".{0,200}", 0..20)) {
        let list = parse_list(values.iter().map(String::as_str));
        prop_assert!(list.scopes.len() <= MAXIMUM_SCOPES);
        for (index, scope) in list.scopes.iter().enumerate() {
            prop_assert!(!list.scopes[..index].iter().any(|earlier| earlier.kind == scope.kind));
        }
    }

    #[test]
    fn near_scopes_are_read_within_bounds(text in "[a-z]{0,9}[(]?[a-z]{0,3}[)]?:?[a-z:/]{0,12}:?[a-z,*]{0,12}") {
        let mut problems = Vec::new();
        let scope = parse_one(&text, &mut problems);
        prop_assert!(scope.is_some() || !problems.is_empty());
    }

    #[test]
    fn a_printed_scope_reads_back(name in "[a-z]{1,8}(/[a-z]{1,8}){2,4}", bits in prop::collection::vec(prop::sample::select(Action::ALL.to_vec()), 0..3)) {
        let actions: ActionSet = bits.into_iter().collect();
        let list = parse_list([format!("repository:{name}:{actions}").as_str()]);
        prop_assert_eq!(list.scopes, vec![Scope { kind: ScopeKind::Repository(name), actions }]);
        prop_assert!(list.problems.is_empty());
    }
}
