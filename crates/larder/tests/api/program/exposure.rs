//! What the program shows to whom before anybody has configured anything.

use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use testkit::{Api, Background, run};

use super::{Place, free_address};
use crate::scene::{Calls as _, admin, expect_problem, writer_and_repository};

/// Where other programs keep what is for their developers and operators.
const INSIDE: [&str; 24] = [
    "/debug/pprof/",
    "/debug/vars",
    "/debug",
    "/admin",
    "/admin/",
    "/internal",
    "/jobs",
    "/api/v1/jobs",
    "/api/v1/config",
    "/api/v1/settings",
    "/api/v1/internal",
    "/api/v1/debug",
    "/api/v1/metrics",
    "/api/v1/admin",
    "/api/v2.0/systeminfo",
    "/actuator",
    "/actuator/env",
    "/server-status",
    "/.env",
    "/.git/config",
    "/larder.toml",
    "/larder.db",
    "/sealing.key",
    "/metrics/",
];

#[test]
fn t38_nothing_inside_is_on_the_public_port() {
    let nobody = admin().as_nobody();
    for path in INSIDE {
        for method in ["GET", "POST"] {
            let answer = nobody.ask(method, path);
            expect_problem(answer, 404, "not_found");
        }
        // Nor for who runs the instance: there is nothing.
        admin().ask("GET", path).expect(&[404]);
    }
    // What operators ask without credentials says nothing about anybody.
    let (user, repository) = writer_and_repository();
    user.blob_push(&repository, b"counted");
    let organization = repository.split('/').next().expect("a repository is in an organization");
    for path in ["/metrics", "/healthz", "/readyz"] {
        let text = String::from_utf8(nobody.get(path).expect(&[200]).body).expect("it is text");
        for name in [&repository, organization, user.username(), "admin"] {
            assert!(!text.contains(name), "{path} names {name}:\n{text}");
        }
        nobody.ask("POST", path).expect(&[404, 405]);
    }
}

/// What everybody else is served.
const OUTSIDE: [&str; 8] = [
    "/sign-in",
    "/account",
    "/static/larder.css",
    "/v2/",
    "/v2/demo/main/app/tags/list",
    "/token",
    "/api/v1/me",
    "/api/v1/demo/main/python/simple/",
];

#[test]
fn t38_operators_can_have_a_listener_of_their_own_and_the_metrics_with_it() {
    let (place, address, operations) = (Place::new(), free_address(), free_address());
    let mut command = place.command(&["serve", "--listen", &address]);
    let mut server = Background::start(command.env("LARDER_SERVER__OPERATIONS_LISTEN", &operations));
    let nobody_at = |address: &str| Api::new(format!("http://{address}"), "nobody", "nothing").as_nobody();
    let (public, operators) = (nobody_at(&address), nobody_at(&operations));
    server.until(|server| {
        assert!(server.wait(Duration::ZERO).is_none(), "it ended: {server}");
        TcpStream::connect(&operations).is_ok() && operators.get("/readyz").status == 200
    });
    operators.get("/healthz").expect(&[200]);
    let metrics = operators.get("/metrics").expect(&[200]).body;
    assert!(String::from_utf8_lossy(&metrics).contains("larder_http_requests_total{endpoint=\"health\""));
    for path in INSIDE.into_iter().chain(OUTSIDE) {
        for method in ["GET", "POST"] {
            operators.ask(method, path).expect(&[404]);
        }
    }

    // Whoever balances the load asks where the load goes.
    public.get("/healthz").expect(&[200]);
    public.get("/readyz").expect(&[200]);
    for method in ["GET", "POST"] {
        let [here, nowhere] =
            ["/metrics", "/absent"].map(|path| expect_problem(public.ask(method, path), 404, "not_found"));
        assert_eq!(here["detail"], nowhere["detail"]);
    }
    assert!(!OUTSIDE.iter().any(|path| public.get(path).status == 404), "the test knows no path");

    let idle = TcpStream::connect(&operations).expect("operators are served");
    server.terminate();
    let status = server.wait(Duration::from_secs(10)).expect("the server ends when it is asked to");
    assert!(status.success(), "{status}: {server}");
    assert!(TcpStream::connect(&operations).is_err(), "somebody listens after the end");
    drop(idle);
    assert!(server.stderr().contains("for operators"), "{server}");
}

/// A first start with nothing configured but where to listen.
fn first_start(place: &Place) -> (Api, String) {
    let address = free_address();
    let mut server = Background::start(&mut place.command(&["serve", "--listen", &address]));
    let nobody = Api::new(format!("http://{address}"), "nobody", "nothing").as_nobody();
    server.until(|server| {
        assert!(server.wait(Duration::ZERO).is_none(), "it ended: {server}");
        TcpStream::connect(&address).is_ok() && nobody.get("/readyz").status == 200
    });
    let stdout = server.stdout();
    let shown = stdout.lines().find_map(|line| line.strip_prefix("The password is "));
    let password = shown.expect("a password is shown").to_owned();
    for known in ["", "admin", "password", "larder", "changeme", "Harbor12345", "admin123", "12345678"] {
        let answer = nobody.as_user("admin", known).manage("GET", "/me", &Value::Null);
        assert!([401, 429].contains(&answer.status), "admin/{known}: {answer}");
    }
    server.terminate();
    server.wait(Duration::from_secs(10)).expect("the server ends when it is asked to");
    assert!(!server.stderr().contains(&password), "the password is in the log");
    (nobody, password)
}

/// Harbor's CVE-2026-4404 and Artifactory's CVE-2019-17444 were passwords that everybody knows, and another registry
/// left the first one lying in a file.
#[test]
fn t44_no_credentials_come_with_the_program() {
    let places = [Place::new(), Place::new()];
    let passwords = places.each_ref().map(|place| first_start(place).1);
    assert_ne!(passwords[0], passwords[1], "the first password is always the same");
    let [place, _] = &places;
    let data = place.directory.path().join("larder-data");
    let mode = |path: &Path| path.metadata().expect("it is there").mode() & 0o777;
    assert_eq!(mode(&data), 0o700, "others on the machine can look into the data");
    assert_eq!(mode(&data.join("sealing.key")), 0o600);
    let (files, password) = (files_in(&data), passwords[0].as_bytes());
    assert!(files.len() > 1, "{files:?}");
    for path in files {
        let bytes = std::fs::read(&path).expect("a file can be read");
        let is_there = bytes.windows(password.len()).any(|window| window == password);
        assert!(!is_there, "the password is in {}", path.display());
    }
}

/// All files below a folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    paths.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

#[test]
fn t44_without_a_configuration_only_this_machine_is_served() {
    let place = Place::new();
    let output = run(&mut place.command(&["config", "print"])).success();
    let printed: toml::Table = output.stdout.parse().expect("it prints TOML");
    assert_eq!(printed["server"]["listen"].as_str(), Some("localhost:5000"));
    assert_eq!(printed["auth"]["sign_up"].as_str(), Some("invited"), "strangers can sign up");
    assert_eq!(printed["bootstrap"]["admin_password"].as_str(), Some(""));
}

#[test]
fn t44_a_weak_secret_is_refused_at_the_start() {
    let key = |text: &str| ("LARDER_AUTH__SEALING_KEY", text.to_owned());
    for ((name, value), reason) in [
        (("LARDER_BOOTSTRAP__ADMIN_PASSWORD", "short".to_owned()), "password is not acceptable"),
        (key("secret"), "auth.sealing_key is not usable"),
        (key("AAAA"), "auth.sealing_key is not usable"),
        // 32 bytes, and all the same one.
        (key(&format!("{}=", "A".repeat(43))), "auth.sealing_key is not usable"),
    ] {
        let place = Place::new();
        let mut command = place.command(&["serve", "--listen", &free_address()]);
        run(command.env(name, &value)).failure().says(reason);
    }
}
