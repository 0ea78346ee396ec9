//! Mistakes that other registries made with accounts, by the numbers under which they became known. Those that a
//! test of a threat covers already are not repeated: CVE-2019-16097 (T13), CVE-2020-13794 (T9), CVE-2022-31667,
//! -31669 and -31670 (T12), CVE-2023-4959 (T23), CVE-2024-22244 and PROJQUAY-9849 (T24), CVE-2025-48374 (T35).

use testkit::random_word;

use super::{Browser, NOTHING};
use crate::scene::{Calls as _, expect_problem, own_server};

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
