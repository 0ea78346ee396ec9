//! `larder admin`: for whoever has the server's shell and nobody who can sign in.

use std::fs::File;

use testkit::{Output, Server, Visibility, run};

use crate::scene::{Calls as _, own_server};

fn admin(server: &Server, arguments: &[&str]) -> Output {
    run(&mut server.command(&[&["admin"], arguments].concat()))
}

/// The same with a line on standard input.
fn admin_with_input(server: &Server, arguments: &[&str], input: &str) -> Output {
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(file.path(), input).expect("a temporary file can be written");
    let mut command = server.command(&[&["admin"], arguments].concat());
    run(command.stdin(File::open(file.path()).expect("the file is there")))
}

/// The password in what a command said.
fn password(output: &Output) -> String {
    let (_, password) =
        output.stdout.trim_end().rsplit_once("the password is ").expect("a password is shown");
    password.to_owned()
}

#[test]
fn a_locked_out_administrator_gets_back_in() {
    let server = own_server(&[]);
    let api = server.api();
    let old = api.as_bearer(&api.token(&["registry:catalog:*"]));
    let personal = api.token_create("kept")["token"].as_str().expect("a token is text").to_owned();
    let output = admin(&server, &["reset-password", "admin"]).success().says("earlier sign-ins are over");
    let new = password(&output);
    api.as_user("admin", &new).ask("GET", "/v2/").expect(&[200]);
    api.ask("GET", "/v2/").expect(&[401]);
    old.ask("GET", "/v2/").expect(&[401]);
    // A personal token has nothing to do with the password.
    api.as_bearer(&personal).ask("GET", "/v2/").expect(&[200]);
    let output = admin_with_input(
        &server,
        &["reset-password", "admin", "--password-stdin"],
        "correct horse battery\r\n",
    );
    output.success().says_nothing_of("correct horse");
    api.as_user("admin", "correct horse battery").ask("GET", "/v2/").expect(&[200]);
    admin_with_input(&server, &["reset-password", "admin", "--password-stdin"], "short\n")
        .failure()
        .says("12 characters");
    admin(&server, &["reset-password", "nobody"]).failure().says("nobody").says("no such user");
    assert!(!server.log().contains(&new), "the password is in the log");
}

#[test]
fn users_are_created_listed_and_deleted() {
    let server = own_server(&[]);
    let output = admin(&server, &["create-user", "bob", "--email", "bob@example.com"])
        .success()
        .says("user bob is created");
    let bob = server.api().as_user("bob", &password(&output));
    assert_eq!(
        bob.manage("GET", "/me", &serde_json::Value::Null).expect(&[200]).json()["system_admin"],
        false
    );
    admin_with_input(
        &server,
        &["create-user", "root", "--email", "root@example.com", "--system-admin", "--password-stdin"],
        "correct horse battery\n",
    )
    .success()
    .says_nothing_of("correct horse");
    let root = server.api().as_user("root", "correct horse battery");
    assert_eq!(
        root.manage("GET", "/me", &serde_json::Value::Null).expect(&[200]).json()["system_admin"],
        true
    );
    let listed = admin(&server, &["list-users"]).success();
    assert_eq!(
        listed.lines(),
        [
            "admin\tadmin@localhost (system administrator)",
            "bob\tbob@example.com",
            "root\troot@example.com (system administrator)",
        ]
    );
    admin(&server, &["create-user", "bob", "--email", "b@example.com"]).failure().says("exists already");
    admin(&server, &["create-user", "Not A Name", "--email", "b@example.com"]).failure().says("username");
    admin(&server, &["create-user", "carol"]).failure().says("--email");
    admin(&server, &["delete-user", "bob"]).success().says("user bob is deleted");
    bob.ask("GET", "/v2/").expect(&[401]);
    admin(&server, &["delete-user", "bob"]).failure().says("no such user");
    admin(&server, &["delete-user", "root"]).success();
    admin(&server, &["delete-user", "admin"]).failure().says("last system admin");
}

#[test]
fn a_disabled_user_is_out_until_enabled_again() {
    let server = own_server(&[]);
    let secret = password(&admin(&server, &["create-user", "bob", "--email", "bob@example.com"]).success());
    let bob = server.api().as_user("bob", &secret);
    let bearer = bob.as_bearer(&bob.token(&["registry:catalog:*"]));
    let personal = bob.as_bearer(bob.token_create("kept")["token"].as_str().expect("a token is text"));
    let everything = [&bob, &bearer, &personal];
    for credential in everything {
        credential.ask("GET", "/v2/").expect(&[200]);
    }
    admin(&server, &["disable-user", "bob"]).success().says("user bob is disabled");
    for credential in everything {
        credential.ask("GET", "/v2/").expect(&[401]);
    }
    admin(&server, &["list-users"]).success().says("bob\tbob@example.com (disabled)");
    admin(&server, &["enable-user", "bob"]).success().says("user bob is enabled");
    bob.ask("GET", "/v2/").expect(&[200]);
    personal.ask("GET", "/v2/").expect(&[200]);
    // What was signed in before does not come back by itself.
    bearer.ask("GET", "/v2/").expect(&[401]);
    admin(&server, &["reset-second-factor", "bob"]).success().says("has no second factor");
    for subcommand in ["disable-user", "enable-user", "reset-second-factor"] {
        admin(&server, &[subcommand, "nobody"]).failure().says("nobody").says("no such user");
    }
    admin(&server, &["disable-user", "admin"]).failure().says("last system admin");
}

#[test]
fn places_and_roles_are_given_from_the_shell() {
    let server = own_server(&[]);
    let secret = password(&admin(&server, &["create-user", "bob", "--email", "bob@example.com"]).success());
    let bob = server.api().as_user("bob", &secret);
    admin(&server, &["create-organization", "acme", "--admin", "bob"]).success().says("administered by bob");
    admin(&server, &["create-registry", "acme", "prod"]).success().says("acme/prod");
    admin(&server, &["create-registry", "acme", "open", "--public"]).success();
    let registries = bob.registry_list("acme");
    assert_eq!(registries["items"][0]["name"], "open");
    assert_eq!(registries["items"][0]["visibility"], "public");
    assert_eq!(
        (&registries["items"][1]["name"], &registries["items"][1]["visibility"]),
        (&"prod".into(), &"private".into())
    );
    bob.registry_create("acme", "more", Visibility::Private);
    bob.blob_push("acme/prod/app", b"hello");

    // The administrator of the server is nobody here until somebody with the shell says so.
    server.api().blob_get("acme/prod/app", &testkit::sha256(b"hello")).expect(&[403]);
    admin(&server, &["set-role", "acme", "admin", "viewer"]).success().says("user admin is viewer");
    server.api().blob_get("acme/prod/app", &testkit::sha256(b"hello")).expect(&[200]);
    admin(&server, &["set-role", "acme", "bob", "viewer"]).failure().says("without an administrator");
    let output = admin(&server, &["delete-user", "bob"]).failure();
    output.says("cannot delete user bob: this user is the only administrator of acme");
    for (arguments, text) in [
        (["create-organization", "acme", "--admin", "bob"].as_slice(), "exists already"),
        (&["create-organization", "other", "--admin", "nobody"], "cannot find user nobody"),
        (&["create-organization", "api", "--admin", "bob"], "reserved"),
        (&["create-registry", "acme", "prod"], "exists already"),
        (&["create-registry", "nothing", "prod"], "nothing"),
        (&["set-role", "acme", "nobody", "viewer"], "cannot find user nobody"),
        (&["set-role", "acme", "bob", "owner"], "viewer"),
        (&["set-role", "nothing", "bob", "viewer"], "nothing"),
    ] {
        admin(&server, arguments).failure().says(text);
    }
}
