//! The page "Sign in with your provider", as a reader follows it from its first step to its fifth.

use std::path::Path;
use std::time::Duration;

use testkit::images::Image;
use testkit::oidc::User;
use testkit::page::Page;
use testkit::{Dockerd, Output, Sandbox, run_within};

use super::provider::Scene;
use super::{arrives, make_token};

const LIMIT: Duration = Duration::from_mins(2);

/// What of the provider the page leaves to the reader, and what its own pages say about groups: the provider of the
/// tests has a scope for them, as Dex has.
const SCOPES: (&str, &str) = ("LARDER_AUTH__PROVIDERS__CORP__SCOPES", "openid,email,profile,groups");

/// Types commands into a shell that finds the program.
fn type_in(home: &Sandbox, commands: &str, variables: &[(String, String)]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_larder")).parent().expect("a file is in a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let script = home.write("commands.sh", commands);
    run_within(
        LIMIT,
        home.command("bash")
            .args(["-euo", "pipefail", &script])
            .env("PATH", path)
            .envs(variables.iter().map(|(name, value)| (name, value))),
    )
}

fn variables<const N: usize>(variables: [(&str, &str); N]) -> [(String, String); N] {
    variables.map(|(name, value)| (name.to_owned(), value.to_owned()))
}

#[test]
fn the_page_about_providers_leads_from_its_first_step_to_its_last() {
    let ada = User::new("ada").email("ada@example.com").groups(&["platform", "everybody"]);
    let (page, home) = (Page::read("docs/sign-in-with-your-provider.md"), Sandbox::new());
    // The server is configured with what the page's commands leave in the environment, and with nothing else.
    let scene = Scene::with(&ada, |url, issuer, client| {
        let page = page.clone().with("http://localhost:5000", url);
        let internal = ("LARDER_AUTH__INTERNAL_ISSUERS", issuer);
        let reader =
            [("ISSUER", issuer), ("CLIENT_ID", client.id()), ("CLIENT_SECRET", client.secret()), internal];
        let commands = format!("{}env\n", page.commands(&["provider"]));
        let output = type_in(&home, &commands, &variables(reader)).success();
        let lines = output.stdout.lines();
        let mut set: Vec<(String, String)> = lines
            .filter(|line| line.starts_with("LARDER_"))
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        output.says("the configuration is in order");
        set.extend(variables([SCOPES]));
        set
    });
    let Scene { provider, server, url } = &scene;
    let host = url.strip_prefix("http://").expect("it is reached so");
    let page = page.with("localhost:5000", host);
    let password = variables([("PASSWORD", server.admin_password())]);
    let output = type_in(&home, &page.commands(&["provider-serves"]), &password).success();
    output.says("\"label\":\"Example Corp\"").says("\"group\":\"platform\"").says("\"registry\":\"main\"");

    let browser = scene.browser();
    browser.click(".providers a");
    provider.sign_in(&browser, &ada);
    arrives(&browser, url, "/account");
    assert_eq!(browser.text("#organizations"), "demo");
    let token = make_token(&browser, "laptop");
    let daemon = Dockerd::start();
    let command = daemon.command(&home, &[]);
    let mut docker: Vec<(String, String)> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned())))
        .filter(|(name, _)| name != "PATH")
        .collect();
    docker.extend(variables([("TOKEN", token.as_str())]));
    let login = page.commands(&["provider-login"]);
    type_in(&home, &login, &docker).success().says("Login Succeeded");
    let push = |name: &str| {
        let reference = format!("{host}/demo/main/{name}:1");
        let archive = home.path().join(format!("{name}.tar"));
        Image::random().docker_archive_write(&archive, &reference);
        daemon.docker(&home, &["load", "--input", &archive.display().to_string()]).success();
        daemon.docker(&home, &["push", &reference])
    };
    push("before").success();

    // Ada leaves. The provider still knows her, and the browser and docker still have what they had.
    let data = server.data_directory().display().to_string();
    let data = variables([("LARDER_STORAGE__DATA_DIR", data.as_str())]);
    type_in(&home, &page.commands(&["provider-ends"]), &data).success().says("user ada is disabled");
    push("after").failure();
    type_in(&home, &login, &docker).failure();
    browser.go_to(&format!("{url}/account"));
    arrives(&browser, url, "/sign-in");
}
