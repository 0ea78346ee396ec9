//! When somebody's access ends.

use serde_json::json;
use testkit::{Api, Role};

use super::{Browser, NOTHING};
use crate::scene::{Calls as _, Organization, expect_error, expect_problem, own_server};

/// Every way in that an account has.
struct Ways {
    password: Api,
    token: Api,
    token_as_password: Api,
    access: Api,
    refresh: String,
    browser: Browser,
}

impl Ways {
    fn new(user: &Api, repository: &str) -> Self {
        let token = user.token_create("laptop")["token"].as_str().expect("a token is text").to_owned();
        let answer = user.ask("GET", "/token?service=larder&offline_token=true").expect(&[200]).json();
        Self {
            password: user.clone(),
            token: user.as_bearer(&token),
            token_as_password: user.as_user(user.username(), &token),
            access: user.as_bearer(&user.token(&[&format!("repository:{repository}:pull,push")])),
            refresh: answer["refresh_token"].as_str().expect("it was asked for").to_owned(),
            browser: Browser::signed_in(user),
        }
    }

    /// Asserts that all are good, or that none is.
    #[track_caller]
    fn check(&self, repository: &str, is_good: bool) {
        let path = format!("/v2/{repository}/tags/list");
        let form = format!("grant_type=refresh_token&refresh_token={}&service=larder", self.refresh);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let refreshed = self.password.as_nobody().call("POST", "/token", &headers, form);
        assert_eq!(self.browser.is_signed_in(), is_good, "the browser's session");
        // The password last: it is the one that counts as a failure to sign in.
        for (what, caller) in [
            ("an access token", &self.access),
            ("a personal token", &self.token),
            ("a personal token as a password", &self.token_as_password),
            ("the password", &self.password),
        ] {
            let answer = caller.ask("GET", &path);
            if is_good {
                assert_eq!(answer.status, 200, "{what}: {answer}");
            } else {
                assert_eq!(answer.status, 401, "{what}: {answer}");
                expect_error(answer, 401, "UNAUTHORIZED");
            }
        }
        assert_eq!(refreshed.status == 200, is_good, "a refresh token: {refreshed}");
    }
}

#[test]
fn t16_an_account_that_is_disabled_gets_nothing_from_the_next_request_on() {
    let server = own_server(&[]);
    let admin = server.api();
    let organization = Organization::on(&admin);
    let repository = organization.repository("app");
    let user = organization.member(Role::Writer);
    user.blob_push(&repository, b"content");
    let ways = Ways::new(&user, &repository);
    ways.check(&repository, true);
    let path = format!("/users/{}", user.username());
    let disabled = admin.manage("PATCH", &path, &json!({ "disabled": true })).expect(&[200]).json();
    assert_eq!(disabled["disabled"], true, "{disabled}");
    ways.check(&repository, false);
    // Signing in says no more than that it is wrong.
    let answer = Browser::new(&user).sign_in(user.username(), user.password());
    let problem = expect_problem(answer, 401, "unauthenticated");
    assert!(!problem.to_string().contains("disabled"), "{problem}");

    // Enabled again, the account signs in anew: what was open then stays closed.
    let enabled = admin.manage("PATCH", &path, &json!({ "disabled": false })).expect(&[200]).json();
    assert_eq!(enabled["disabled"], false, "{enabled}");
    user.ask("GET", &format!("/v2/{repository}/tags/list")).expect(&[200]);
    ways.token.ask("GET", &format!("/v2/{repository}/tags/list")).expect(&[200]);
    assert!(!ways.browser.is_signed_in());
    ways.access.ask("GET", &format!("/v2/{repository}/tags/list")).expect(&[401]);
}

#[test]
fn t16_a_role_that_was_taken_away_counts_no_more_for_anything() {
    let server = own_server(&[]);
    let admin = server.api();
    let organization = Organization::on(&admin);
    let repository = organization.repository("app");
    let user = organization.member(Role::Writer);
    user.blob_push(&repository, b"content");
    let mut ways = Ways::new(&user, &repository);
    ways.check(&repository, true);
    let own = format!("/organizations/{}", organization.name);
    ways.browser.ask("GET", &own, &NOTHING).expect(&[200]);
    admin.member_delete(testkit::Place::Organization(&organization.name), user.username());
    let path = format!("/v2/{repository}/tags/list");
    for caller in [&ways.access, &ways.token, &ways.token_as_password, &ways.password] {
        expect_error(caller.ask("GET", &path), 403, "DENIED");
    }
    expect_problem(ways.browser.ask("GET", &own, &NOTHING), 404, "not_found");
    let listed = ways.browser.ask("GET", "/organizations", &NOTHING).expect(&[200]).json();
    assert_eq!(listed["items"], json!([]), "{listed}");
    assert!(ways.browser.is_signed_in(), "the account itself is as it was");
}
