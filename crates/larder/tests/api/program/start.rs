//! The first start, the later ones, and starts that are refused.

use std::time::Duration;

use testkit::{Api, Background, run};

use super::{Place, free_address};
use crate::scene::Calls as _;

/// A server that is ready.
fn serve(place: &Place, address: &str, variables: &[(&str, &str)]) -> Background {
    let mut command = place.command(&["serve", "--listen", address]);
    let mut server = Background::start(command.envs(variables.iter().copied()));
    let nobody = Api::new(format!("http://{address}"), "nobody", "nothing").as_nobody();
    server.until(|server| {
        let ended = server.wait(Duration::ZERO);
        assert!(ended.is_none(), "it ended: {ended:?}\n{server}");
        std::net::TcpStream::connect(address).is_ok() && nobody.get("/readyz").status == 200
    });
    server
}

fn admin(address: &str, password: &str) -> Api {
    Api::new(format!("http://{address}"), "admin", password)
}

fn end(mut server: Background) -> (String, String) {
    server.terminate();
    let status = server.wait(Duration::from_secs(10)).expect("the server ends when it is asked to");
    assert!(status.success(), "{status}: {server}");
    (server.stdout(), server.stderr())
}

#[test]
fn the_first_start_shows_a_password_once_and_never_in_the_log() {
    let (place, address) = (Place::new(), free_address());
    let server = serve(&place, &address, &[]);
    let stdout = server.stdout();
    let password =
        stdout.lines().find_map(|line| line.strip_prefix("The password is ")).expect("a password is shown");
    assert_eq!(password.len(), 24, "{stdout}");
    assert!(stdout.contains("Sign in as user admin"), "{stdout}");
    assert!(stdout.contains(&format!("in a browser: http://{address}/sign-in\n")), "{stdout}");
    assert!(stdout.contains(&format!("docker login {address} -u admin")), "{stdout}");
    assert!(stdout.contains(&format!("docker push {address}/demo/main/<repository>:<tag>")), "{stdout}");
    assert!(stdout.contains(&format!("http://{address}/api/v1/demo/main/python")), "{stdout}");
    let api = admin(&address, password);
    let registry =
        api.manage("GET", "/organizations/demo/registries/main", &serde_json::Value::Null).expect(&[200]);
    assert_eq!(registry.json()["visibility"], "private");
    api.blob_push("demo/main/hello", b"hello");
    let (stdout, stderr) = end(server);
    assert_eq!(stdout.matches(password).count(), 1, "{stdout}");
    assert!(!stderr.contains(password), "the password is in the log: {stderr}");
    assert!(place.has("larder-data/larder.db") && place.has("larder-data/objects"));

    // From then on it says nothing of the kind, whatever the settings are.
    let server = serve(&place, &address, &[("LARDER_BOOTSTRAP__ADMIN_PASSWORD", "another password")]);
    admin(&address, password).blob_get("demo/main/hello", &testkit::sha256(b"hello")).expect(&[200]);
    admin(&address, "another password").ask("GET", "/v2/").expect(&[401]);
    let (stdout, stderr) = end(server);
    assert_eq!(stdout, "", "the second start talks like the first");
    assert!(!stderr.contains("another password"), "{stderr}");
}

#[test]
fn the_first_start_names_the_address_that_people_are_given() {
    let (place, address) = (Place::new(), free_address());
    let server = serve(&place, &address, &[("LARDER_SERVER__PUBLIC_URL", "https://registry.example.org/")]);
    let (stdout, _) = end(server);
    for text in [
        "in a browser: https://registry.example.org/sign-in\n",
        "docker login registry.example.org -u admin\n",
        "docker push registry.example.org/demo/main/<repository>:<tag>\n",
        " https://registry.example.org/api/v1/demo/main/python ",
    ] {
        assert!(stdout.contains(text), "{text} is missing:\n{stdout}");
    }
    assert!(!stdout.contains(&address), "{stdout}");
}

#[test]
fn a_password_that_is_given_is_not_shown() {
    let (place, address) = (Place::new(), free_address());
    let password = "correct horse battery";
    let server = serve(&place, &address, &[("LARDER_BOOTSTRAP__ADMIN_PASSWORD", password)]);
    admin(&address, password).ask("GET", "/v2/").expect(&[200]);
    let (stdout, stderr) = end(server);
    assert!(stdout.contains("Sign in as user admin"), "{stdout}");
    for text in [&stdout, &stderr] {
        assert!(!text.contains(password) && !text.contains("The password is"), "{text}");
    }
}

#[test]
fn what_the_first_start_creates_can_be_named_or_left_out() {
    let password = ("LARDER_BOOTSTRAP__ADMIN_PASSWORD", "correct horse battery");
    for (organization, registry, expected) in
        [("acme", "prod", "acme/prod"), ("acme", "", "acme"), ("", "prod", ""), ("", "", "")]
    {
        let (place, address) = (Place::new(), free_address());
        let variables = [
            password,
            ("LARDER_BOOTSTRAP__ORGANIZATION", organization),
            ("LARDER_BOOTSTRAP__REGISTRY", registry),
        ];
        let server = serve(&place, &address, &variables);
        let api = admin(&address, password.1);
        let organizations = api.organization_list();
        let mut found = organizations["items"][0]["name"].as_str().unwrap_or_default().to_owned();
        if !found.is_empty() {
            let registries = api.registry_list(&found);
            if let Some(registry) = registries["items"][0]["name"].as_str() {
                found = format!("{found}/{registry}");
            }
        }
        assert_eq!(found, expected);
        let (stdout, _) = end(server);
        assert_eq!(stdout.contains("docker push"), expected.contains('/'), "{stdout}");
        assert_eq!(stdout.contains("twine upload"), expected.contains('/'), "{stdout}");
    }
}

#[test]
fn a_first_start_that_is_refused_can_be_tried_again() {
    let (place, address) = (Place::new(), free_address());
    for (name, value, text) in [
        ("LARDER_BOOTSTRAP__ORGANIZATION", "Not A Name", "bootstrap.organization"),
        ("LARDER_BOOTSTRAP__REGISTRY", "a/b", "bootstrap.registry"),
        ("LARDER_BOOTSTRAP__ADMIN_PASSWORD", "short", "password"),
    ] {
        let output = run(place.command(&["serve", "--listen", &address]).env(name, value)).failure();
        output.says(text).says("the first start could not be completed");
    }
    let password = ("LARDER_BOOTSTRAP__ADMIN_PASSWORD", "correct horse battery");
    let server = serve(&place, &address, &[password]);
    admin(&address, password.1).registry_list("demo");
    end(server);
}

#[test]
fn a_second_server_on_the_same_folder_or_address_is_refused() {
    let (place, address) = (Place::new(), free_address());
    let server = serve(&place, &address, &[("LARDER_BOOTSTRAP__ADMIN_PASSWORD", "correct horse battery")]);
    let output = run(&mut place.command(&["serve", "--listen", &free_address()])).failure();
    output.says("in use by another server process").says("folder of its own");
    let other = Place::new();
    let output = run(&mut other.command(&["serve", "--listen", &address])).failure();
    output.says(&format!("cannot listen on {address}")).says("--listen");
    let mut command = other.command(&["serve", "--listen", &free_address()]);
    let output = run(command.env("LARDER_SERVER__OPERATIONS_LISTEN", &address)).failure();
    assert_eq!(output.stderr.lines().count(), 1, "{output}");
    output.says(&format!("cannot listen on {address}")).says("server.operations_listen");
    assert!(!other.has("larder-data"), "a server that could not listen made a data folder");
    // The first one did not notice.
    admin(&address, "correct horse battery").blob_push("demo/main/hello", b"hello");
    end(server);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let place = Place::new();
    let file = place.write("file", "");
    let output =
        run(&mut place.command(&["serve", "--listen", &free_address(), "--data-dir", &file])).failure();
    output.says("data folder").says(&file);
    for arguments in [["gc", "--once"].as_slice(), &["scrub"], &["admin", "list-users"]] {
        let output = run(&mut place.command(&[arguments, &["--data-dir", "nowhere"]].concat())).failure();
        output.says("there is no data in nowhere").says("--data-dir");
        assert!(!place.has("nowhere"), "a command that only looks made a folder");
    }
}

#[test]
fn operators_ask_without_credentials() {
    let nobody = crate::scene::admin().as_nobody();
    assert_eq!(nobody.get("/healthz").expect(&[200]).body, b"ok\n");
    assert_eq!(nobody.get("/readyz").expect(&[200]).body, b"ready\n");
    let (api, repository) = crate::scene::writer_and_repository();
    api.blob_push(&repository, b"counted");
    api.ask("GET", &format!("/v2/{repository}/tags/list")).expect(&[200]);
    let metrics = nobody.get("/metrics").expect(&[200]);
    assert!(
        metrics.header("content-type").is_some_and(|text| text.starts_with("application/openmetrics-text"))
    );
    let text = String::from_utf8(metrics.body.clone()).expect("metrics are text");
    for name in [
        "larder_http_requests_total{endpoint=\"upload_start\",status=\"201\"}",
        "larder_http_requests_total{endpoint=\"tag_list\",status=\"200\"}",
        "larder_http_requests_total{endpoint=\"readiness\",status=\"200\"}",
        "larder_http_request_duration_seconds_bucket",
        "larder_http_requests_in_flight",
        "larder_http_connections",
        "larder_password_verifications",
    ] {
        assert!(text.contains(name), "{name} is missing:\n{text}");
    }
    assert!(!text.contains(&repository), "metrics name a repository");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn every_request_has_a_name_that_the_log_has_too() {
    let (place, address) = (Place::new(), free_address());
    let variables =
        [("LARDER_BOOTSTRAP__ADMIN_PASSWORD", "correct horse battery"), ("LARDER_LOG__FORMAT", "json")];
    let server = serve(&place, &address, &variables);
    let answer = admin(&address, "correct horse battery")
        .ask("GET", "/v2/demo/main/absent/manifests/v1")
        .expect(&[404]);
    let id = answer.header("x-request-id").expect("an answer names its request").to_owned();
    let (_, stderr) = end(server);
    let lines: Vec<serde_json::Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let line = lines
        .iter()
        .find(|line| line["request.id"] == id)
        .unwrap_or_else(|| panic!("{id} is not in {stderr}"));
    assert_eq!(line["response.status"], 404, "{line}");
    assert_eq!(line["level"], "INFO", "{line}");
}
