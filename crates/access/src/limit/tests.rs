use proptest::prelude::*;

use super::*;
use crate::scope::ScopeGrant;

fn pattern(text: &str) -> RepositoryPattern {
    text.parse().unwrap_or_else(|_| panic!("{text} is a pattern"))
}

fn scope(text: &str, actions: ActionSet) -> TokenScope {
    TokenScope { repositories: pattern(text), actions }
}

fn limit(scopes: &[(&str, Action)]) -> Limit {
    let scopes = scopes.iter().map(|(text, action)| scope(text, (*action).into())).collect();
    Limit::of_scopes(Some(scopes))
}

#[test]
fn a_pattern_matches_whole_names() {
    for (text, name, matches) in [
        ("acme/prod/app", "acme/prod/app", true),
        ("acme/prod/app", "acme/prod/app/web", false),
        ("acme/prod/app", "acme/prod/ap", false),
        ("acme/prod/*", "acme/prod/app", true),
        ("acme/prod/*", "acme/prod/team/app", false),
        ("acme/prod/**", "acme/prod/team/app", true),
        ("acme/prod/**", "acme/production/app", false),
        ("acme/**", "acme/prod/app", true),
        ("acme/**", "acme", false),
        ("**", "acme/prod/app", true),
        ("acme/*/team-*", "acme/dev/team-a", true),
        ("acme/*/team-*", "acme/dev/steam-a", false),
        ("acme/prod/a*b*c", "acme/prod/aXbYbZc", true),
        ("acme/prod/a*b*c", "acme/prod/abc", true),
        ("acme/prod/a*b", "acme/prod/ab-", false),
        ("acme/prod/a*a", "acme/prod/a", false),
    ] {
        assert_eq!(pattern(text).matches(name), matches, "{text} and {name}");
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    for text in [
        "",
        "acme",
        "acme/prod",
        "acme//app",
        "/acme/prod/app",
        "acme/**/app",
        "acme/prod/***",
        "acme/prod/A",
        "a/b/c\n",
    ] {
        assert_eq!(text.parse::<RepositoryPattern>(), Err(InvalidPattern), "{text:?}");
    }
}

#[test]
fn a_registry_is_covered_only_by_what_leaves_nothing_out() {
    for (text, covers, enters) in [
        ("acme/prod/**", true, true),
        ("acme/**", true, true),
        ("**", true, true),
        ("acme/*/**", true, true),
        ("acme/prod/team/**", false, true),
        ("acme/prod/*", false, true),
        ("acme/prod/app", false, true),
        ("acme/dev/**", false, false),
        ("other/**", false, false),
    ] {
        let limit = limit(&[(text, Action::Pull)]);
        assert_eq!(limit.covers_registry("acme/prod", Action::Pull), covers, "{text}");
        assert_eq!(limit.enters_registry("acme/prod", Action::Pull), enters, "{text}");
        assert!(!limit.covers_registry("acme/prod", Action::Push));
        assert!(!limit.enters_registry("acme/prod", Action::Push));
    }
}

#[test]
fn scopes_and_grants_have_to_agree() {
    let grants: Arc<[ScopeGrant]> = Arc::new([ScopeGrant {
        name: "acme/prod/app".to_owned(),
        granted: ActionSet::of(Action::Pull).with(Action::Push),
        denied: ActionSet::NONE,
    }]);
    let limit = limit(&[("acme/prod/**", Action::Pull)]).with_grants(grants);
    assert_eq!(limit.verdict("acme/prod/app", Action::Pull), ScopeVerdict::Granted);
    assert_eq!(limit.verdict("acme/prod/app", Action::Push), ScopeVerdict::Denied);
    assert_eq!(limit.verdict("acme/prod/web", Action::Pull), ScopeVerdict::Silent);
    assert_eq!(limit.verdict("acme/dev/app", Action::Pull), ScopeVerdict::Denied);
    assert_eq!(Limit::NONE.verdict("acme/dev/app", Action::Delete), ScopeVerdict::Granted);
}

#[test]
fn a_token_without_any_scope_is_good_for_nothing() {
    let limit = Limit::of_scopes(Some(Arc::new([])));
    assert!(!limit.is_none());
    assert_eq!(limit.verdict("acme/prod/app", Action::Pull), ScopeVerdict::Denied);
}

#[test]
fn a_scope_is_a_pattern_and_words_in_json() {
    let text = r#"{"repositories":"acme/prod/**","actions":["pull","push"]}"#;
    let scope: TokenScope = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&scope).unwrap(), text);
    for wrong in [
        r#"{"repositories":"acme","actions":["pull"]}"#,
        r#"{"repositories":"acme/prod/**","actions":["admin"]}"#,
        r#"{"repositories":"acme/prod/**","actions":["pull"],"admin":true}"#,
    ] {
        assert!(serde_json::from_str::<TokenScope>(wrong).is_err(), "{wrong}");
    }
}

fn component() -> impl Strategy<Value = String> {
    "[ab*]{1,4}".prop_filter("** stands alone", |text| !text.contains("**"))
}

prop_compose! {
    fn any_pattern()(before in prop::collection::vec(component(), 2..4), last in prop_oneof![component(), Just("**".to_owned())]) -> RepositoryPattern {
        pattern(&format!("{}/{last}", before.join("/")))
    }
}

proptest! {
    #[test]
    fn what_a_pattern_includes_it_matches(ours in any_pattern(), theirs in any_pattern(), name in "[ab]{1,3}(/[ab]{1,3}){2,3}") {
        if ours.includes(&theirs) && theirs.matches(&name) {
            prop_assert!(ours.matches(&name), "{ours} includes {theirs}, {name}");
        }
    }

    #[test]
    fn a_pattern_includes_itself_and_comes_back(pattern in any_pattern()) {
        prop_assert!(pattern.includes(&pattern));
        prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }

    #[test]
    fn any_text_is_survived(text in ".{0,40}", name in ".{0,40}") {
        if let Ok(pattern) = text.parse::<RepositoryPattern>() {
            let _ = pattern.matches(&name);
        }
    }
}
