//! Mistakes that other registries made with accounts, by the numbers under which they became known. Those that a
//! test of a threat covers already are not repeated: CVE-2019-16097 (T13), CVE-2020-13794 (T9), CVE-2022-31667,
//! -31669, -31670 and CVE-2026-4630 (T12), GHSA-c9p4-xwr9-rfhx (T16), CVE-2025-24976 (T17), CVE-2022-0668 (T18),
//! CVE-2023-4959 (T23), CVE-2024-22244 and PROJQUAY-9849 (T24), CVE-2025-48374 and CVE-2023-42662 (T35),
//! CVE-2023-20902 (T37), CVE-2026-4404 and CVE-2019-17444 (T44).

use serde_json::json;
use testkit::{Role, random_word, sha256};

use super::{Browser, NOTHING};
use crate::scene::{Calls as _, Organization, expect_problem, own_server};

#[test]
fn cve_2024_5891_the_name_of_a_client_is_no_secret() {
    let server = own_server(&[]);
    let nobody = server.api().as_nobody();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    for form in [
        "grant_type=client_credentials&client_id=docker",
        "grant_type=client_credentials&client_id=admin&client_secret=",
        "grant_type=refresh_token&refresh_token=&client_id=docker&service=larder",
        "grant_type=authorization_code&code=x&client_id=docker",
        "grant_type=password&username=admin&password=&client_id=docker&service=larder",
        "grant_type=password&username=admin&client_id=docker&service=larder",
    ] {
        let answer = nobody.call("POST", "/token", &headers, form);
        assert!([400, 401].contains(&answer.status), "{form}: {answer}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("access_token"), "{form}: {answer}");
    }
}

/// A blob that was deleted was readable again as soon as somebody else's was looked at, because a cache said so.
#[test]
fn cve_2026_35172_what_was_deleted_stays_so_whoever_else_has_it() {
    let server = own_server(&[]);
    let admin = server.api();
    let organizations = [Organization::on(&admin), Organization::on(&admin)];
    let [one, other] = organizations.each_ref().map(|organization| {
        let user = organization.member(Role::Writer);
        let repository = organization.repository("app");
        user.blob_push(&repository, b"shared content");
        (user, repository)
    });
    let digest = sha256(b"shared content");
    one.0.blob_get(&one.1, &digest).expect(&[200]);
    one.0.ask("DELETE", &format!("/v2/{}/blobs/{digest}", one.1)).expect(&[202]);
    for _ in 0..3 {
        one.0.blob_get(&one.1, &digest).expect(&[404]);
        other.0.blob_get(&other.1, &digest).expect(&[200]);
        one.0.ask("HEAD", &format!("/v2/{}/blobs/{digest}", one.1)).expect(&[404]);
    }
}

/// Two who refresh at once got tokens of which one outlived the end of the other.
#[test]
fn ghsa_qxxr_refreshing_at_once_leaves_nothing_behind() {
    let server = own_server(&[]);
    let admin = server.api();
    let organization = Organization::on(&admin);
    let user = organization.member(Role::Writer);
    let answer = user.ask("GET", "/token?service=larder&offline_token=true").expect(&[200]).json();
    let refresh = answer["refresh_token"].as_str().expect("it was asked for").to_owned();
    let form = format!("grant_type=refresh_token&refresh_token={refresh}&service=larder&client_id=x");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let ask = || user.as_nobody().call("POST", "/token", &headers, form.clone());
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        let answers = asking.into_iter().map(|asking| asking.join().expect("it is answered").expect(&[200]));
        answers.map(|answer| answer.json()["access_token"].as_str().unwrap_or_default().to_owned()).collect()
    });
    let change = json!({ "disabled": true });
    admin.manage("PATCH", &format!("/users/{}", user.username()), &change).expect(&[200]);
    for token in &tokens {
        user.as_bearer(token).ask("GET", "/v2/").expect(&[401]);
    }
    assert_eq!(ask().status, 401);
}

#[test]
fn cve_2024_9683_a_long_password_counts_to_its_end() {
    let server = own_server(&[]);
    let admin = server.api();
    let username = format!("user-{}", random_word());
    let password = random_word().repeat(5);
    assert!(password.len() > 100, "{}", password.len());
    admin.user_create(&username, &password);
    let user = admin.as_user(&username, &password);
    user.manage("GET", "/me", &NOTHING).expect(&[200]);
    Browser::signed_in(&user);
    // As long as what bcrypt looks at, with something else behind it, and with more behind it than there is.
    let beginning = &password[..72];
    let padded = format!("{beginning}{}", "x".repeat(password.len() - beginning.len()));
    for wrong in [beginning, &padded, &format!("{password}x"), &format!("{password}\0")] {
        expect_problem(Browser::new(&admin).sign_in(&username, wrong), 401, "unauthenticated");
    }
}

#[test]
fn cve_2023_4956_no_answer_is_shown_in_a_frame() {
    let server = own_server(&[]);
    let admin = server.api();
    for (method, path) in [("GET", "/auth"), ("GET", "/me"), ("POST", "/auth/sign-out"), ("GET", "/nothing")]
    {
        let answer = admin.manage(method, path, &NOTHING);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("frame-ancestors 'none'"), "{answer}");
    }
}
