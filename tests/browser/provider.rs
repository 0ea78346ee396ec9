//! Signing in with an identity provider.

use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Instant;

use serde_json::json;
use testkit::images::Image;
use testkit::oidc::{Client, OidcProvider, User};
use testkit::{Browser, Dockerd, Method, Place, Role, Sandbox, Server};

use super::{arrives, make_token, over_soon, server};

/// A provider that knows this person, and a server that people come to from there.
pub(super) struct Scene {
    pub(super) provider: OidcProvider,
    pub(super) server: Server,
    /// Where browsers reach the server: `http://localhost:PORT`.
    pub(super) url: String,
}

impl Scene {
    fn new(user: &User) -> Self {
        Self::with(user, |url, issuer, client| {
            [
                ("LARDER_SERVER__PUBLIC_URL", url),
                ("LARDER_AUTH__INTERNAL_ISSUERS", issuer),
                ("LARDER_AUTH__PROVIDERS__CORP__ISSUER", issuer),
                ("LARDER_AUTH__PROVIDERS__CORP__LABEL", "the company"),
                ("LARDER_AUTH__PROVIDERS__CORP__CLIENT_ID", client.id()),
                ("LARDER_AUTH__PROVIDERS__CORP__CLIENT_SECRET", client.secret()),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
        })
    }

    /// The same with variables that follow from the server's URL, the issuer, and what the provider knows the server
    /// as.
    pub(super) fn with(
        user: &User,
        variables: impl FnOnce(&str, &str, &Client) -> Vec<(String, String)>,
    ) -> Self {
        let mut provider = OidcProvider::start();
        // Who comes back from a provider comes to an address that was configured, so that it has to be known before
        // the server has chosen a port.
        let front = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = front.local_addr().expect("it listens somewhere").port();
        let (url, issuer) = (format!("http://localhost:{port}"), provider.issuer());
        let callback = format!("{url}/api/v1/auth/providers/corp/callback");
        let client = Client::confidential("larder", &callback).after_logout(&format!("{url}/sign-in"));
        provider.put_user(user);
        provider.put_client(&client);
        let variables = variables(&url, &issuer, &client);
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let server = server(&variables);
        let place = server.address();
        std::thread::spawn(move || {
            for client in front.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(place)) else { continue };
                relay(&client, &server);
                relay(&server, &client);
            }
        });
        Self { provider, server, url }
    }

    /// A browser at the sign-in page.
    pub(super) fn browser(&self) -> Browser {
        let browser = Browser::start();
        browser.go_to(&format!("{}/sign-in", self.url));
        browser
    }
}

/// Passes on what comes, until nothing comes any more.
fn relay(from: &TcpStream, to: &TcpStream) {
    let copy = |stream: &TcpStream| stream.try_clone().expect("a socket can be duplicated");
    let (mut from, mut to) = (copy(from), copy(to));
    std::thread::spawn(move || {
        // Whoever hangs up in between does so on the other side too.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[test]
fn t16_from_the_first_sign_in_to_docker_push_until_the_user_is_disabled() {
    let user = User::new("ada").email("ada@example.com");
    let Scene { provider, server, url } = &Scene::new(&user);
    let admin = server.api();
    let browser = Browser::start();
    browser.go_to(url);
    arrives(&browser, url, "/sign-in");
    browser.click(".providers a");
    provider.sign_in(&browser, &user);
    arrives(&browser, url, "/account");
    assert_eq!(browser.text("#me"), "ada");
    let session = browser.cookie("larder").expect("the browser has a session");
    assert!(session.is_http_only && session.same_site == "Lax", "{session:?}");
    assert!(browser.cookie("larder-signin").is_none(), "what signing in needed stays");

    // Whoever is new belongs to nothing, until somebody makes them a member.
    assert!(!browser.has("#organizations"));
    admin.member_put(Place::Registry("demo", "main"), "ada", Role::Writer);
    browser.reload();
    assert_eq!(browser.text("#organizations"), "demo");
    let token = make_token(&browser, "laptop");

    let host = url.strip_prefix("http://").expect("it is reached so");
    let (daemon, home) = (Dockerd::start(), Sandbox::new());
    let docker = |arguments: &[&str]| daemon.docker(&home, arguments);
    let login = |password: &str| {
        let arguments = ["login", "--username", "ada", "--password-stdin", host];
        daemon.docker_with_input(&home, &arguments, password)
    };
    let push = |name: &str| {
        let reference = format!("{host}/demo/main/{name}:1");
        let archive = home.path().join(format!("{name}.tar"));
        Image::random().docker_archive_write(&archive, &reference);
        docker(&["load", "--input", &archive.display().to_string()]).success();
        docker(&["push", &reference])
    };
    login(&token).success().says("login succeeded");
    push("before").success();
    assert_eq!(admin.tag_list("demo/main/before"), ["1"]);

    let request = admin.request(Method::PATCH, "/api/v1/users/ada").json(&json!({ "disabled": true }));
    admin.send(request).expect(&[200]);
    let begun = Instant::now();
    let with_token = admin.as_user("ada", &token);
    over_soon("the token", begun, || with_token.get("/v2/").status == 401);
    over_soon("the session's page", begun, || {
        browser.go_to(&format!("{url}/account"));
        browser.url() == format!("{url}/sign-in")
    });
    push("after").failure();
    login(&token).failure();
    assert_eq!(admin.manifest_get("demo/main/after", "1").status, 404);
    // The provider still knows who it is, and that is not enough.
    browser.click(".providers a");
    provider.allow(&browser);
    browser.wait_for("[role=alert]");
    assert!(browser.url().contains("/sign-in?problem="), "{}", browser.url());
    let log = server.log();
    assert!(!log.contains(&token) && !log.contains(&session.value), "a secret is logged");
}

#[test]
fn an_account_at_a_provider_is_linked_and_unlinked() {
    let user = User::new("ada-at-the-company").email("ada@example.com");
    let scene = Scene::new(&user);
    let Scene { provider, server, url } = &scene;
    let password = testkit::random_word();
    server.api().user_create("ada", &password);
    let browser = scene.browser();
    super::sign_in(&browser, "ada", &password);
    arrives(&browser, url, "/account");
    assert!(!browser.has("#identities"));
    browser.click("section .providers a");
    provider.sign_in(&browser, &user);
    arrives(&browser, url, "/account");
    assert!(browser.text("#identities").contains("ada@example.com"));

    browser.click("#sign-out button");
    browser.wait_for("[role=status]");
    assert!(browser.cookie("larder").is_none());
    browser.go_to(&format!("{url}/sign-in"));
    browser.click(".providers a");
    provider.allow(&browser);
    arrives(&browser, url, "/account");
    assert_eq!(browser.text("#me"), "ada");
    browser.click("#identities button");
    // The session was the provider's, and is over with what it came by.
    browser.wait_until("the account is unlinked", |browser| !browser.has("#identities"));
}

#[test]
fn who_signs_out_may_sign_out_at_the_provider_too() {
    let user = User::new("ada");
    let scene = Scene::new(&user);
    let (browser, provider, url) = (scene.browser(), &scene.provider, &scene.url);
    browser.click(".providers a");
    provider.sign_in(&browser, &user);
    arrives(&browser, url, "/account");
    browser.click("#sign-out button");
    browser.click("#provider-sign-out");
    browser.click("#sign-out");
    browser.wait_until("the browser is back", |browser| browser.url().starts_with(url));
    browser.click(".providers a");
    browser.wait_for("input[name=username]");
}

#[test]
fn who_says_no_at_the_provider_is_told_what_to_do() {
    let user = User::new("ada");
    let scene = Scene::new(&user);
    let (browser, url) = (scene.browser(), &scene.url);
    browser.click(".providers a");
    browser.type_into("input[name=username]", user.username());
    browser.type_into("input[name=password]", user.password());
    browser.click("#sign-in");
    browser.click("#deny");
    arrives(&browser, url, "/sign-in?problem=provider-refused");
    assert!(browser.text("[role=alert]").contains("Try again"));
    assert!(browser.cookie("larder").is_none());
}
