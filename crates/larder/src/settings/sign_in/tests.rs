use std::io::Write as _;

use auth::{AudienceClaim, PasswordGrant, SigningAlgorithm};

use super::super::Settings;
use super::super::load::{Overrides, load_from};
use super::*;

const KEY: &str = "c29tZSBzZWFsaW5nIGtleSBvZiAzMiByYW5kb20gYi4=";

fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load_from(Some(file.path()), environment, Overrides::default()).map_err(|error| format!("{error:#}"))
}

/// As sign-in gets it, with the key in the configuration: nothing may be written here.
fn sign_in(toml: &str, environment: &[(&str, &str)]) -> auth::Settings {
    let environment = [environment, &[("LARDER_AUTH__SEALING_KEY", KEY)]].concat();
    load(toml, &environment).unwrap().sign_in().unwrap()
}

#[test]
fn nothing_configured_lets_in_who_was_invited() {
    let settings = sign_in("", &[]);
    assert_eq!(settings.sign_up, auth::SignUp::Invited);
    assert!(settings.providers.is_empty() && settings.internal_issuers.is_empty() && settings.mail.is_none());
    assert_eq!(settings.sessions.idle, Duration::from_hours(12));
    assert_eq!(settings.sessions.longest, Duration::from_hours(7 * 24));
}

#[test]
fn a_provider_comes_from_a_file() {
    let toml = r#"
        [server]
        public_url = "https://registry.example.org"

        [auth.providers.cognito]
        issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc"
        client_id = "0123"
        client_secret = "hunter2"
        groups_claim = "cognito:groups"
        username_claim = "cognito:username"
        required_claims = { token_use = "id" }
        accept_access_tokens = true
        access_token_audience_claim = "client_id"
        access_token_required_claims = { "token_use" = "access", "custom:Realm" = "a.b" }
        password_grant = "cognito"

        [auth.providers.corp]
        label = "Example Corp"
        issuer = "https://login.example.org"
        client_id = "larder"
        algorithms = ["ES256", "RS256"]
    "#;
    let settings = sign_in(toml, &[]);
    let [cognito, corp] = settings.providers.as_slice() else { panic!("{:?}", settings.providers) };
    assert_eq!((cognito.name.as_str(), cognito.label.as_str()), ("cognito", "cognito"));
    assert_eq!(cognito.client_secret.as_ref().unwrap().expose_secret(), "hunter2");
    assert_eq!(cognito.required_claims["token_use"], "id");
    let tokens = cognito.access_tokens.as_ref().unwrap();
    assert_eq!(tokens.audience_claim, AudienceClaim::ClientId);
    assert_eq!(tokens.required_claims["custom:Realm"], "a.b");
    assert_eq!(cognito.password_grant, PasswordGrant::Cognito { endpoint: None });
    assert_eq!((corp.name.as_str(), corp.label.as_str()), ("corp", "Example Corp"));
    assert_eq!(corp.algorithms, [SigningAlgorithm::Es256, SigningAlgorithm::Rs256]);
    assert!(corp.client_secret.is_none() && corp.access_tokens.is_none());
    assert_eq!(corp.password_grant, PasswordGrant::Off);
    assert_eq!(corp.scopes, ["openid", "email", "profile"]);
}

#[test]
fn a_provider_comes_from_variables() {
    let settings = sign_in(
        "",
        &[
            ("LARDER_SERVER__PUBLIC_URL", "https://registry.example.org"),
            ("LARDER_AUTH__INTERNAL_ISSUERS", "http://keycloak:8080, http://dex:5556"),
            ("LARDER_AUTH__PROVIDERS__CORP__ISSUER", "http://keycloak:8080/realms/main"),
            ("LARDER_AUTH__PROVIDERS__CORP__CLIENT_ID", "12345"),
            ("LARDER_AUTH__PROVIDERS__CORP__CLIENT_SECRET", "0123"),
            ("LARDER_AUTH__PROVIDERS__CORP__SCOPES", "openid,groups"),
            ("LARDER_AUTH__PROVIDERS__CORP__ALLOWED_GROUPS", "42"),
            ("LARDER_AUTH__PROVIDERS__CORP__REQUIRED_CLAIMS__HD", "1"),
            ("LARDER_AUTH__PROVIDERS__CORP__CREATE_USERS", "false"),
        ],
    );
    assert_eq!(settings.internal_issuers, ["http://keycloak:8080", "http://dex:5556"]);
    let [corp] = settings.providers.as_slice() else { panic!("{:?}", settings.providers) };
    assert_eq!((corp.name.as_str(), corp.client_id.as_str()), ("corp", "12345"));
    assert_eq!(corp.client_secret.as_ref().unwrap().expose_secret(), "0123");
    assert_eq!(corp.scopes, ["openid", "groups"]);
    assert_eq!(corp.allowed_groups, ["42"]);
    assert_eq!(corp.required_claims["hd"], "1");
    assert!(!corp.create_users);
}

#[test]
fn printing_masks_every_secret_of_sign_in() {
    let toml = format!(
        "[server]\npublic_url = \"https://registry.example.org\"\n\
         [auth]\nsealing_keys_before = [\"{KEY}\"]\n\
         [auth.providers.corp]\nissuer = \"https://login.example.org\"\nclient_id = \"larder\"\n\
         client_secret = \"hunter2\"\n\
         [mail]\nurl = \"smtps://larder:hunter3@mail.example.org\"\nfrom = \"larder@example.org\"\n"
    );
    let printed = load(&toml, &[("LARDER_AUTH__SEALING_KEY", KEY)]).unwrap().masked().unwrap();
    for secret in ["hunter", KEY] {
        assert!(!printed.contains(secret), "{printed}");
    }
    for shown in [
        "sealing_key = \"********\"",
        "sealing_keys_before = [\"********\"]",
        "client_secret = \"********\"",
        "smtps://larder:********@mail.example.org",
        "[auth.providers.corp]",
    ] {
        assert!(printed.contains(shown), "{shown} is not in {printed}");
    }
}

#[test]
fn what_cannot_work_is_refused_with_the_key() {
    const CORP: &str =
        "[auth.providers.corp]\nissuer = \"https://login.example.org\"\nclient_id = \"larder\"\n";
    let provider = |rest: &str| format!("{CORP}{rest}\n");
    let with_issuer =
        |issuer: &str| format!("[auth.providers.corp]\nissuer = \"{issuer}\"\nclient_id = \"larder\"\n");
    for (toml, part) in [
        ("[auth]\nsign_up = \"maybe\"\n".to_owned(), "auth.sign_up is not usable"),
        ("[auth]\nsign_up_domains = [\"example.org\"]\n".to_owned(), "auth.sign_up = \"open\""),
        ("[auth]\nsign_up = \"open\"\nsign_up_domains = [\"example.org\"]\n".to_owned(), "mail.url"),
        (
            "[auth]\nsign_up = \"open\"\nsign_up_domains = [\"@example.org\"]\n".to_owned(),
            "auth.sign_up_domains",
        ),
        ("[auth]\nsession_idle = \"5s\"\n".to_owned(), "auth.session_idle"),
        ("[auth]\nsession_lifetime = \"1h\"\n".to_owned(), "auth.session_lifetime"),
        ("[auth]\nsealing_key = \"secret\"\n".to_owned(), "larder config new-key"),
        ("[auth]\nsealing_keys_before = [\"secret\"]\n".to_owned(), "auth.sealing_keys_before"),
        ("[auth]\ninternal_issuers = [\"keycloak:8080\"]\n".to_owned(), "auth.internal_issuers"),
        (
            "[auth]\ninternal_issuers = [\"http://keycloak/realms/main\"]\n".to_owned(),
            "auth.internal_issuers",
        ),
        ("[auth.providers.Corp]\nissuer = \"https://a\"\nclient_id = \"b\"\n".to_owned(), "no usable name"),
        (
            "[auth.providers.corp]\nclient_id = \"larder\"\n".to_owned(),
            "auth.providers.corp.issuer is missing",
        ),
        (
            "[auth.providers.corp]\nissuer = \"https://a\"\n".to_owned(),
            "auth.providers.corp.client_id is missing",
        ),
        (
            "[auth.providers.my_corp]\nissuer = \"https://a\"\nclient_id = \"b\"\n".to_owned(),
            "no usable name",
        ),
        (format!("{CORP}{}", CORP.replace("corp", "also")), "have the same issuer"),
        (with_issuer("login.example.org"), "auth.providers.corp.issuer"),
        (with_issuer("ftp://login.example.org"), "auth.providers.corp.issuer"),
        (
            with_issuer("http://login.example.org/realms/main"),
            "add \"http://login.example.org\" to auth.internal_issuers",
        ),
        (provider("jwks_uri = \"http://login.example.org/keys\""), "auth.providers.corp.jwks_uri"),
        (provider("scopes = [\"email\"]"), "openid"),
        (provider("algorithms = [\"HS256\"]"), "auth.providers.corp.algorithms is not usable"),
        (provider("algorithms = []"), "auth.providers.corp.algorithms is empty"),
        (provider("allowed_domains = [\"*.example.org\"]"), "auth.providers.corp.allowed_domains"),
        (provider("access_token_audience = \"larder\""), "accept_access_tokens = true"),
        (provider("password_grant_endpoint = \"https://cognito.example.org\""), "password_grant"),
        (provider("password_grant = \"yes\""), "auth.providers.corp.password_grant is not usable"),
    ] {
        let url = ("LARDER_SERVER__PUBLIC_URL", "https://registry.example.org");
        let error = load(&toml, &[url]).unwrap_err();
        assert!(error.contains(part), "{toml}: {error}");
        assert!(!error.contains("\"secret\""), "{toml}: {error}");
    }
    let error = load(CORP, &[]).unwrap_err();
    assert!(error.contains("server.public_url is not"), "{error}");
}

#[test]
fn no_tls_is_needed_on_this_machine_and_where_somebody_says_so() {
    for (issuer, internal) in [
        ("http://localhost:1234", ""),
        ("http://127.0.0.1:1234/pool", ""),
        ("http://[::1]:1234", ""),
        ("http://keycloak.internal:8080/realms/main", "http://keycloak.internal:8080"),
        ("http://keycloak.internal/realms/main", "http://keycloak.internal/"),
    ] {
        let settings = sign_in(
            "",
            &[
                ("LARDER_SERVER__PUBLIC_URL", "https://registry.example.org"),
                ("LARDER_AUTH__INTERNAL_ISSUERS", internal),
                ("LARDER_AUTH__PROVIDERS__CORP__ISSUER", issuer),
                ("LARDER_AUTH__PROVIDERS__CORP__CLIENT_ID", "larder"),
            ],
        );
        assert_eq!(settings.providers[0].issuer, issuer);
    }
}

#[test]
fn a_key_in_a_file_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let key = || {
        let settings = load("", &[("LARDER_STORAGE__DATA_DIR", data_dir)]).unwrap();
        settings.sign_in().unwrap().sealing_key.unwrap().expose_secret().to_owned()
    };
    assert_eq!(key(), key());
    assert!(folder.path().join("sealing.key").is_file());
    // One that is configured needs no file.
    let settings = load("", &[("LARDER_AUTH__SEALING_KEY", KEY), ("LARDER_STORAGE__DATA_DIR", "/nowhere")]);
    assert_eq!(settings.unwrap().sign_in().unwrap().sealing_key.unwrap().expose_secret(), KEY);
}
