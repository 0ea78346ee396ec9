use super::*;
use crate::testing::{ADA, Scene, limited, person, scene};

/// The scopes of a token, and the names that it then lists.
type Case<'a> = (&'a [(&'a str, &'a [Action])], &'a [&'a str]);

async fn names(scene: &Scene, caller: &Caller, limit: u64) -> Vec<String> {
    let mut found = Vec::new();
    let mut last: Option<String> = None;
    loop {
        let page = scene.registry.catalog(caller, Some(limit), last.as_deref()).await.unwrap();
        assert!(page.repositories.len() as u64 <= limit);
        found.extend(page.repositories);
        match page.next {
            Some(next) => last = Some(next),
            None => return found,
        }
    }
}

#[test]
fn a_list_goes_on_where_a_text_is_cut_off() {
    assert_eq!(before_nul("a/b\0c"), "a/b");
    assert_eq!(before_nul("a/b"), "a/b");
    assert_eq!(before_nul("\0"), "");
}

#[tokio::test]
async fn t10_the_list_names_what_the_credentials_are_good_for() {
    let scene = scene().await;
    scene
        .change(
            "INSERT INTO repositories (registry_id, name, format, created_at)
             VALUES (3001, 'a', 'oci', 0), (3001, 'app-x', 'oci', 0), (3001, 'team/app', 'oci', 0),
                    (3002, 'app', 'oci', 0), (3002, 'z', 'oci', 0), (3003, 'app', 'oci', 0)",
        )
        .await;
    let ada = person(ADA, "ada");
    let all = [
        "acme/open/app",
        "acme/open/z",
        "acme/prod/a",
        "acme/prod/app",
        "acme/prod/app-x",
        "acme/prod/team/app",
    ];
    let cases: [Case<'_>; 5] = [
        (&[("acme/**", &[Action::Pull])], &all),
        (&[("**", &[Action::Push])], &[]),
        (&[("acme/prod/app*", &[Action::Pull])], &all[3..5]),
        (&[("acme/*/app", &[Action::Pull])], &[all[0], all[3]]),
        (&[("acme/prod/team/**", &[Action::Pull]), ("globex/**", &[Action::Pull])], &all[5..]),
    ];
    for limit in [1, 2, 3, 100] {
        assert_eq!(names(&scene, &ada, limit).await, all);
        for (scopes, expected) in cases {
            let token = limited(ada.clone(), scopes);
            assert_eq!(names(&scene, &token, limit).await, expected, "{scopes:?} by {limit}");
        }
    }
}
