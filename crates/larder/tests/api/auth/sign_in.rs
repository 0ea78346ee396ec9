//! Names and passwords: what a check costs, and what happens to those who guess.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::{Answer, Api, Role, Server, random_word};

use super::challenge;
use crate::scene::{Calls as _, Organization, connect, expect_error, expect_problem, own_server, user_of};

/// How many passwords the server has compared since its start.
#[track_caller]
fn verifications(admin: &Api) -> u64 {
    let answer = admin.as_nobody().ask("GET", "/metrics").expect(&[200]);
    let text = String::from_utf8(answer.body).expect("metrics are text");
    let value = text.lines().find_map(|line| line.strip_prefix("larder_password_verifications "));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no such metric:\n{text}"))
}

#[test]
fn a_password_costs_once_and_not_on_every_request() {
    let server = own_server(&[]);
    let admin = server.api();
    let organization = Organization::on(&admin);
    let repository = organization.repository("app");
    let writer = organization.member(Role::Writer);
    let before = verifications(&admin);
    writer.blob_push(&repository, b"content");
    for _ in 0..49 {
        writer.ask("GET", &format!("/v2/{repository}/tags/list")).expect(&[200]);
    }
    assert_eq!(verifications(&admin) - before, 1);
    writer.ask("GET", "/token?service=larder").expect(&[200]);
    writer.ask("GET", "/api/v1/organizations").expect(&[200]);
    let bearer = writer.as_bearer(&writer.token(&[&format!("repository:{repository}:pull")]));
    bearer.ask("GET", &format!("/v2/{repository}/tags/list")).expect(&[200]);
    assert_eq!(verifications(&admin) - before, 1);
}

#[test]
fn a_password_that_comes_many_times_at_once_is_checked_once() {
    let server = own_server(&[]);
    let admin = server.api();
    let user = user_of(&admin);
    let before = verifications(&admin);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| user.ask("GET", "/v2/").expect(&[200]));
        }
    });
    assert_eq!(verifications(&admin) - before, 1);
}

#[test]
fn a_wrong_password_is_refused_whatever_was_right_before() {
    let server = own_server(&[]);
    let admin = server.api();
    let user = user_of(&admin);
    user.ask("GET", "/v2/").expect(&[200]);
    for (username, password) in [
        (user.username(), "wrong password"),
        (user.username(), ""),
        ("", user.password()),
        ("somebody-else", user.password()),
        (&user.username().to_uppercase(), user.password()),
    ] {
        let answer = admin.as_user(username, password).ask("GET", "/v2/");
        assert!(!challenge(&answer).contains("error="), "{answer}");
        let message = expect_error(answer, 401, "UNAUTHORIZED");
        assert!(message.contains("user name or password"), "{message}");
    }
    user.ask("GET", "/v2/").expect(&[200]);
}

/// Sends a guess and does not wait to hear about it; as long as the connection lives it is in the queue.
fn guess(server: &Server, username: &str) -> TcpStream {
    let credentials = STANDARD.encode(format!("{username}:{}", random_word()));
    let mut stream = connect(server);
    let request =
        format!("GET /v2/ HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {credentials}\r\n\r\n", server.host());
    stream.write_all(request.as_bytes()).expect("the server takes the request");
    stream
}

/// Asserts that an answer puts off its client and says until when.
#[track_caller]
fn check_put_off(answer: &Answer) {
    let seconds: u64 = answer.header("retry-after").and_then(|value| value.parse().ok()).unwrap_or_default();
    assert!((1..=60).contains(&seconds), "{answer}");
}

#[test]
fn who_guesses_waits_longer_and_longer_and_is_put_off_in_the_end() {
    let mut server = own_server(&[]);
    let admin = server.api();
    let (owner, bystander) = (user_of(&admin), user_of(&admin));
    let token = admin.as_user(owner.username(), owner.password()).token_create("test");
    let token = token["token"].as_str().expect("a token is shown once").to_owned();
    for user in [&owner, &bystander] {
        user.ask("GET", "/v2/").expect(&[200]);
    }

    // Guesses queue up, each with a turn later than the one before, until a turn would be too far away.
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut guesses = Vec::new();
    let put_off = loop {
        guesses.push(guess(&server, owner.username()));
        if guesses.len() % 10 == 0 {
            // A guess of our own that would wait for its turn is given up after a short while.
            let probe = raw_guess(&server, owner.username());
            if probe.starts_with("HTTP/1.1 429 ") {
                break probe;
            }
        }
        assert!(Instant::now() < deadline, "{} guesses and nobody is put off", guesses.len());
    };
    assert!(put_off.to_lowercase().contains("\r\nretry-after: "), "{put_off}");

    let stranger = admin.as_user(owner.username(), "another guess");
    for (method, path) in [("GET", "/v2/"), ("GET", "/token?service=larder")] {
        let answer = stranger.ask(method, path);
        check_put_off(&answer);
        expect_error(answer, 429, "TOOMANYREQUESTS");
    }
    let form = format!("grant_type=password&username={}&password=guess", owner.username());
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = admin.as_nobody().call("POST", "/token", &headers, form);
    check_put_off(&answer);
    expect_error(answer, 429, "TOOMANYREQUESTS");
    let answer = stranger.ask("GET", "/api/v1/organizations");
    check_put_off(&answer);
    expect_problem(answer, 429, "throttled");

    // The owner, who signed in before, and the owner's tokens are not slowed down; nor is anybody else.
    owner.ask("GET", "/v2/").expect(&[200]);
    owner.as_bearer(&token).ask("GET", "/v2/").expect(&[200]);
    owner.as_user(owner.username(), &token).ask("GET", "/v2/").expect(&[200]);
    bystander.ask("GET", "/v2/").expect(&[200]);
    // The guesses are still in the queue, and an orderly end would wait for them.
    server.kill9();
}

/// The first line of the answer to a guess, or nothing when it does not come at once.
fn raw_guess(server: &Server, username: &str) -> String {
    use std::io::Read as _;
    let mut stream = guess(server, username);
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a time limit can be set");
    let mut answer = [0; 2048];
    let length = stream.read(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
