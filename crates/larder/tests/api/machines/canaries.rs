//! Every kind of secret, used in every way it can be, and none of them in the log or in the database.

use serde_json::{Value, json};

use super::scene::{Machine, issuer, text};
use crate::accounts::Browser;
use crate::accounts::second_factor::code;
use crate::scene::{Calls as _, own_server, user_of};

/// zot wrote clients' secrets into its log (CVE-2025-48374), others theirs.
#[test]
fn t35_no_kind_of_credentials_is_in_the_log() {
    let server = own_server(&[
        ("LARDER_AUTH__INTERNAL_ISSUERS", &issuer().url()),
        ("LARDER_LOG__LEVEL", "trace"),
        ("LARDER_SERVER__PUBLIC_URL", "http://localhost:1"),
        ("LARDER_AUTH__PROVIDERS__COMPANY__ISSUER", &issuer().url()),
        ("LARDER_AUTH__PROVIDERS__COMPANY__CLIENT_ID", "larder"),
        ("LARDER_AUTH__PROVIDERS__COMPANY__CLIENT_SECRET", "canary-of-the-client"),
    ]);
    let machine = Machine::on(&server, &issuer().url());
    machine.bind(json!({ "audience": "canary" }));
    let user = user_of(&server.api());
    let mut secrets = vec![
        ("the client's secret", "canary-of-the-client".to_owned()),
        ("an administrator's password", server.admin_password().to_owned()),
        ("a password", user.password().to_owned()),
    ];

    // People.
    let browser = Browser::signed_in(&user);
    secrets.push(("a session", browser.cookie().to_owned()));
    secrets.push(("the word of a session", browser.csrf().to_owned()));
    let personal = user.token_create("laptop");
    let (id, token) = (text(&personal, "id"), text(&personal, "token"));
    user.as_bearer(&token).ask("GET", "/v2/").expect(&[200]);
    user.as_user(user.username(), &token).ask("GET", "/v2/").expect(&[200]);
    let rotated = user.manage("POST", &format!("/me/tokens/{id}/rotate"), &json!({ "overlap_secs": 60 }));
    let rotated = text(&rotated.expect(&[200, 201]).json(), "token");
    user.as_bearer(&rotated).ask("GET", "/v2/").expect(&[200]);
    secrets.extend([("a personal token", token), ("a token in its place", rotated)]);
    let access = user.token(&["registry:catalog:*"]);
    user.as_bearer(&access).ask("GET", "/v2/").expect(&[200]);
    secrets.push(("an access token", access));
    let answer = user.ask("GET", "/token?service=larder&offline_token=true").expect(&[200]).json();
    let refresh = text(&answer, "refresh_token");
    let form = format!("grant_type=refresh_token&refresh_token={refresh}&service=larder&client_id=x");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    user.as_nobody().call("POST", "/token", &headers, form).expect(&[200]);
    secrets.push(("a refresh token", refresh));
    let path = format!("/users/{}/password-reset", user.username());
    let link = server.api().manage("POST", &path, &Value::Null).expect(&[201]).json();
    let (reset, password) = (text(&link, "code"), "canary-of-a-new-password".to_owned());
    let change = json!({ "code": reset, "password": password });
    user.as_nobody().manage("POST", "/auth/password/reset", &change).expect(&[204]);
    secrets.extend([("a code for a new password", reset), ("a new password", password.clone())]);
    let user = user.as_user(user.username(), &password);
    let mut browser = Browser::signed_in(&user);
    let factor = browser.ask("POST", "/me/second-factor", &Value::Null).expect(&[201]).json();
    let seed = text(&factor, "secret");
    let confirmation = json!({ "code": code(&seed, 0) });
    let confirmed = browser.ask("POST", "/me/second-factor/confirm", &confirmation).expect(&[200]).json();
    let recovery = confirmed["recovery_codes"][0].as_str().expect("a code is text").to_owned();
    let mut again = Browser::new(&server.api());
    again.sign_in(user.username(), &password).expect(&[200]);
    again.ask("POST", "/auth/second-factor", &json!({ "code": recovery })).expect(&[200]);
    secrets.extend([("a second factor", seed), ("a recovery code", recovery)]);
    let new = json!({ "email": "new@example.com", "role": "viewer" });
    let invitation = machine.manage("POST", "/invitations", &new).expect(&[201]).json();
    let invitation = text(&invitation, "link").rsplit('/').next().expect("a link ends in it").to_owned();
    let guest = user_of(&server.api());
    guest.manage("POST", "/invitations:accept", &json!({ "secret": invitation })).expect(&[200]);
    // The same in the address of the page, where a browser has it.
    guest.as_nobody().ask("GET", &format!("/invitations/{invitation}"));
    secrets.push(("an invitation", invitation));

    // Machines.
    let service = text(&machine.token(Value::Null), "token");
    machine.may_push(&machine.signed_in_with(&service));
    let job = || issuer().token(&machine.claims().with("aud", "canary"));
    let (password, exchanged, minted) = (job(), job(), job());
    machine.may_push(&machine.job(&password));
    let answer = machine.exchange(&exchanged, "").expect(&[200]).json();
    let (of_exchange, of_mint) =
        (text(&answer, "access_token"), machine.publishing("mint-token", &minted).json());
    machine.may_push(&machine.bringing(&of_exchange));
    secrets.extend([
        ("a service account's token", service),
        ("a job's token as a password", password),
        ("a job's token that is exchanged", exchanged),
        ("a job's token that is minted", minted),
        ("what it was exchanged for", of_exchange),
    ]);
    if let Some(of_mint) = of_mint["token"].as_str() {
        machine.publishing("burn-token", of_mint);
        secrets.push(("what was minted", of_mint.to_owned()));
    }

    let log = server.log();
    assert!(log.contains("/invitations:accept"), "the log is elsewhere: {log}");
    for (what, secret) in &secrets {
        // The end of a token is secret as well.
        let part = &secret[secret.len().saturating_sub(30)..];
        let found = log.lines().find(|line| line.contains(part));
        assert!(found.is_none(), "{what} is in the log: {found:?}");
    }
    // Nor are they in what is stored, where it is a folder.
    for name in ["larder.db", "larder.db-wal"] {
        let bytes = std::fs::read(server.data_directory().join(name)).unwrap_or_default();
        for (what, secret) in &secrets {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{what} is in {name}");
        }
    }
}
