//! The list of repositories.

use testkit::{Answer, Api, Place, Role, Visibility};

use super::tag::next;
use crate::scene::{Calls as _, Organization, admin, expect_error, outsider, user_of};

#[track_caller]
fn repositories(answer: &Answer) -> Vec<String> {
    let listing = answer.json();
    let list = listing["repositories"].as_array().unwrap_or_else(|| panic!("no list: {answer}"));
    list.iter().map(|name| name.as_str().expect("a name is text").to_owned()).collect()
}

/// The repositories of this test among all that the caller sees, page after page.
#[track_caller]
fn mine(caller: &Api, organizations: &[&Organization], n: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut answer = caller.ask("GET", &format!("/v2/_catalog?n={n}")).expect(&[200]);
    loop {
        assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
        let page = repositories(&answer);
        assert!(page.len() == n || next(&answer).is_none(), "a short page that goes on: {answer}");
        found.extend(page);
        let Some(path) = next(&answer) else { break };
        answer = caller.ask("GET", &path).expect(&[200]);
    }
    assert!(found.is_sorted_by(|one, other| one < other), "not in the order of bytes: {found:?}");
    found.retain(|name| {
        organizations.iter().any(|organization| name.starts_with(&format!("{}/", organization.name)))
    });
    found
}

#[test]
fn everybody_sees_what_they_may_pull() {
    let (one, other) = (Organization::new(), Organization::new());
    one.registry("public", Visibility::Public);
    one.registry("hidden", Visibility::Private);
    let (mut all_of_one, mut open) = (Vec::new(), Vec::new());
    // Names that sort by bytes and not by parts: `-`, `.` and digits come before and after the slash.
    for registry in ["main", "public", "hidden"] {
        for name in ["a", "a/b", "a-b", "a.b", "a0", "b"] {
            let repository = format!("{}/{registry}/{name}", one.name);
            one.member_of_all().blob_push(&repository, b"content");
            all_of_one.push(repository.clone());
            if registry == "public" {
                open.push(repository);
            }
        }
    }
    all_of_one.sort();
    open.sort();
    let of_other = other.repository("a");
    other.member(Role::Writer).blob_push(&of_other, b"content");

    let both = [&one, &other];
    let member = one.member(Role::Viewer);
    for n in [1, 2, 5, 1000] {
        assert_eq!(mine(&member, &both, n), all_of_one, "in pages of {n}");
    }
    assert_eq!(mine(&outsider(), &both, 1000), open);
    // A member of one registry sees that one, and what is public.
    let guest = user_of(admin());
    admin().member_put(Place::Registry(&one.name, "main"), guest.username(), Role::Viewer);
    let mut expected: Vec<_> = all_of_one.iter().filter(|name| !name.contains("/hidden/")).cloned().collect();
    assert_eq!(mine(&guest, &both, 1000), expected);
    expected.retain(|name| name.contains("/main/"));
    assert!(!expected.is_empty());
    let of_both = other.member(Role::Viewer);
    let mut expected = open.clone();
    expected.push(of_other);
    expected.sort();
    assert_eq!(mine(&of_both, &both, 3), expected);
}

trait MemberOfAll {
    fn member_of_all(&self) -> Api;
}

impl MemberOfAll for Organization {
    /// The administrator made the organization, and so belongs to it.
    fn member_of_all(&self) -> Api {
        self.admin().clone()
    }
}

#[test]
fn a_page_and_where_it_begins() {
    let organization = Organization::new();
    let member = organization.member(Role::Writer);
    for name in ["a", "b", "c"] {
        member.blob_push(&organization.repository(name), b"content");
    }
    let [a, b, c] = ["a", "b", "c"].map(|name| organization.repository(name));
    let at = |query: &str| member.ask("GET", &format!("/v2/_catalog?{query}")).expect(&[200]);
    let after = |last: &str| {
        let mut found = repositories(&at(&format!("last={}", last.replace('/', "%2F"))));
        found.retain(|name| name.starts_with(&organization.name));
        found
    };
    assert_eq!(after(&a), [b.clone(), c.clone()]);
    assert_eq!(after(&format!("{a}a")), [b.clone(), c.clone()], "what does not exist can be begun after");
    assert_eq!(after(&organization.name), [a, b.clone(), c.clone()]);
    assert_eq!(after(&c), Vec::<String>::new());
    let none = at("n=0");
    assert_eq!((repositories(&none).len(), next(&none)), (0, None));
    let page = at(&format!("n=1&last={}", organization.repository("a").replace('/', "%2F")));
    assert_eq!(repositories(&page), std::slice::from_ref(&b));
    assert_eq!(next(&page), Some(format!("/v2/_catalog?n=1&last={}", b.replace('/', "%2F"))));
    at("n=99999999999999999999999");
    for n in ["-1", "x", "1.5"] {
        expect_error(member.ask("GET", &format!("/v2/_catalog?n={n}")), 400, "PAGINATION_NUMBER_INVALID");
    }
}

#[test]
fn the_list_takes_somebody_who_signed_in() {
    let organization = Organization::new();
    let member = organization.member(Role::Writer);
    let repository = organization.repository("app");
    member.blob_push(&repository, b"content");
    let nobody = admin().as_nobody();
    for caller in [nobody.clone(), nobody.as_bearer(&nobody.token(&["registry:catalog:*"]))] {
        let answer = caller.ask("GET", "/v2/_catalog");
        let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
        assert!(challenge.contains("scope=\"registry:catalog:*\""), "{answer}");
        expect_error(answer, 401, "UNAUTHORIZED");
    }
    let bearer = member.as_bearer(&member.token(&["registry:catalog:*"]));
    assert!(mine(&bearer, &[&organization], 1000).contains(&repository));
    // A token for a repository is none for the list.
    let bearer = member.as_bearer(&member.token(&[&format!("repository:{repository}:pull")]));
    expect_error(bearer.ask("GET", "/v2/_catalog"), 401, "UNAUTHORIZED");
}
