//! Files, variables and flags.

use testkit::{Output, run};

use super::Place;

/// One line says what is wrong, and nothing was begun.
#[track_caller]
fn refused(place: &Place, output: Output, texts: &[&str]) {
    let mut output = output.failure();
    for text in texts {
        output = output.says(text);
    }
    assert!(output.stderr.starts_with("larder: the configuration is not usable: "), "{output}");
    assert_eq!(output.stderr.lines().count(), 1, "{output}");
    assert!(!place.has("larder-data"), "a data folder was made");
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_begun() {
    for (toml, texts) in [
        (
            "[server]\nlisten_on = \"a:1\"\n",
            ["server.listen_on is not a setting", "did you mean server.listen?"],
        ),
        ("[sever]\nlisten = \"a:1\"\n", ["sever is not a setting", "did you mean server?"]),
        ("[gc]\ngrace = \"soon\"\n", ["gc.grace", "such as 90s"]),
        ("[gc]\ngrace = 90\n", ["gc.grace", "90"]),
        ("[server]\ntls_key = \"key.pem\"\n", ["server.tls_certificate", "go together"]),
        ("[server]\nlisten = \"localhost\"\n", ["server.listen", "host:port"]),
        ("[server]\noperations_listen = \"localhost\"\n", ["server.operations_listen", "host:port"]),
        ("[log]\nformat = \"maybe\"\n", ["log.format", "json"]),
        ("[uploads]\nopen_per_user = 0\n", ["uploads.open_per_user", "at least 1"]),
        ("[auth]\naccess_token_ttl = \"1s\"\n", ["auth.access_token_ttl", "60s"]),
        ("server = 5\n", ["server", "section"]),
        ("[server]\nthis is no toml", ["larder.toml is not TOML", "line 2"]),
    ] {
        let place = Place::new();
        place.write("larder.toml", toml);
        for arguments in [["config", "check"].as_slice(), &["config", "print"], &["serve"], &["scrub"]] {
            refused(&place, run(&mut place.command(arguments)), &texts);
        }
    }
}

/// In the state in which people look for it: the configuration cannot be used because the key is missing.
#[test]
fn a_new_key_is_made_whatever_the_configuration_is() {
    let place = Place::new();
    place.write("larder.toml", "[database]\nurl = \"postgres://larder@localhost/larder\"\n");
    refused(
        &place,
        run(&mut place.command(&["config", "check"])),
        &["auth.sealing_key", "larder config new-key"],
    );
    let key = || run(&mut place.command(&["config", "new-key"])).success().stdout.trim_end().to_owned();
    let (one, other) = (key(), key());
    assert_ne!(one, other);
    let check = |key: &str| run(place.command(&["config", "check"]).env("LARDER_AUTH__SEALING_KEY", key));
    check(&one).success().says("in order");
    let output = check(&one[1..]);
    assert!(!output.stderr.contains(&one[1..]), "{output}");
    refused(&place, output, &["auth.sealing_key is not usable"]);
}

#[test]
fn identity_providers_can_be_configured_by_variables_alone() {
    let place = Place::new();
    let variables = [
        ("LARDER_SERVER__PUBLIC_URL", "https://registry.example.org"),
        ("LARDER_AUTH__PROVIDERS__CORP__ISSUER", "https://login.example.org"),
        ("LARDER_AUTH__PROVIDERS__CORP__CLIENT_ID", "larder"),
        ("LARDER_AUTH__PROVIDERS__CORP__CLIENT_SECRET", "0123456789"),
    ];
    let with = |count: usize, arguments: &[&str]| {
        run(place.command(arguments).envs(variables.iter().copied().take(count)))
    };
    let output = with(4, &["config", "print"]).success().says_nothing_of("0123456789");
    let printed: toml::Table = output.stdout.parse().expect("what is printed is TOML");
    let corp = &printed["auth"]["providers"]["corp"];
    assert_eq!(corp["issuer"].as_str(), Some("https://login.example.org"));
    assert_eq!(corp["client_secret"].as_str(), Some("********"));
    refused(&place, with(2, &["config", "check"]), &["auth.providers.corp.client_id is missing"]);
}

#[test]
fn variables_and_flags_are_checked_too() {
    let place = Place::new();
    let check = |name: &str, value: &str| run(place.command(&["config", "check"]).env(name, value));
    refused(
        &place,
        check("LARDER_GC__GRASE", "1h"),
        &["gc.grase is not a setting", "did you mean gc.grace?"],
    );
    refused(&place, check("LARDER_GC__INTERVAL", "0s"), &["gc.interval"]);
    refused(&place, check("LARDER_UPLOADS__OPEN_PER_USER", "many"), &["uploads.open_per_user", "many"]);
    refused(&place, run(&mut place.command(&["config", "check", "--listen", "nowhere"])), &["server.listen"]);
    refused(
        &place,
        run(&mut place.command(&["config", "check", "--config", "absent.toml"])),
        &["there is no file absent.toml"],
    );
    run(&mut place.command(&["serve", "--port", "5000"])).failure().says("--port");
}

#[test]
fn flags_win_over_variables_and_these_over_the_file() {
    let place = Place::new();
    place.write(
        "larder.toml",
        "[server]\nlisten = \"file:1\"\n[log]\nlevel = \"warn\"\n[gc]\ngrace = \"2h\"\n",
    );
    let other = place.write("other.toml", "[server]\nlisten = \"other:1\"\n");
    let print = |arguments: &[&str]| {
        let mut command = place.command(&[&["config", "print"], arguments].concat());
        let output = run(command.env("LARDER_LOG__LEVEL", "debug")).success();
        output.stdout.parse::<toml::Table>().expect("what is printed is TOML")
    };
    let settings = print(&[]);
    assert_eq!(settings["server"]["listen"].as_str(), Some("file:1"));
    assert_eq!(settings["log"]["level"].as_str(), Some("debug"));
    assert_eq!(settings["gc"]["grace"].as_str(), Some("2h"));
    assert_eq!(print(&["--listen", "flag:1"])["server"]["listen"].as_str(), Some("flag:1"));
    assert_eq!(print(&["--config", &other])["server"]["listen"].as_str(), Some("other:1"));
    run(&mut place.command(&["config", "check"])).success().says("in order");
}

#[test]
fn printing_masks_secrets_and_can_be_read_back() {
    let place = Place::new();
    let output = run(place
        .command(&["config", "print"])
        .env("LARDER_BOOTSTRAP__ADMIN_PASSWORD", "correct horse battery"));
    let output = output.success().says("admin_password = \"********\"").says_nothing_of("correct horse");
    let file = place.write("printed.toml", &output.stdout);
    let again = run(&mut place.command(&["config", "print", "--config", &file])).success();
    assert_eq!(again.stdout, output.stdout);
    // What is not set is not masked, so that one can see that.
    run(&mut place.command(&["config", "print"])).success().says("admin_password = \"\"");
    assert!(!place.has("larder-data"), "looking made a data folder");
}
