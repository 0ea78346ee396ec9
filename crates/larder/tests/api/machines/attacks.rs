//! What somebody tries who wants in. The numbers are those of the project's list of threats.

use serde_json::{Value, json};
use testkit::issuer::{Claims, Issuer, Key};
use testkit::python::Wheel;
use testkit::{Api, Place, Role, random_word};

use super::scene::{Machine, issuer, server, text};
use crate::scene::{Calls as _, expect_problem, own_server, small_manifest};

/// Everything that has a name of its own in an organization, as paths below it.
fn things(machine: &Machine) -> Vec<(&'static str, String)> {
    let token = text(&machine.token(Value::Null), "id");
    let binding = machine.bind(json!({}));
    let invited = |rest: &str| {
        let made = machine.manage("POST", rest, &json!({ "role": "viewer" })).expect(&[201]).json();
        text(&made, "id")
    };
    let (invitation, registry) = (invited("/invitations"), invited("/registries/main/invitations"));
    vec![
        ("DELETE", format!("/service-accounts/deploy/tokens/{token}")),
        ("POST", format!("/service-accounts/deploy/tokens/{token}/rotate")),
        ("GET", format!("/service-accounts/deploy/bindings/{binding}")),
        ("DELETE", format!("/service-accounts/deploy/bindings/{binding}")),
        ("DELETE", format!("/invitations/{invitation}")),
        ("DELETE", format!("/registries/main/invitations/{registry}")),
    ]
}

/// An identifier is one of the place that the path names, or of none.
#[test]
fn t12_identifiers_of_another_organization() {
    let (mine, theirs) = (Machine::new(), Machine::new());
    let caller = theirs.signed_in();
    for (method, path) in things(&theirs) {
        // As the administrator of the one, under the one and under the other.
        for place in [mine.at(&path), theirs.at(&path)] {
            let body = if method == "POST" { json!({}) } else { Value::Null };
            expect_problem(mine.owner.manage(method, &place, &body), 404, "not_found");
        }
        // Numbers in the place of names find nothing.
        let last = path.rsplit('/').find(|part| part.len() > 20).expect("an identifier is long").to_owned();
        for id in ["1", "0", "-1", "%00", "' OR '1'='1"] {
            let path = theirs.at(&path.replace(&last, &id.replace(' ', "%20").replace('\'', "%27")));
            let body = if method == "POST" { json!({}) } else { Value::Null };
            let answer = theirs.owner.manage(method, &path, &body);
            assert!([400, 404].contains(&answer.status), "{method} {path}: {answer}");
        }
    }
    // All of it is as it was.
    theirs.may_push(&caller);
    theirs.may_push(&theirs.job(&issuer().token(&theirs.claims())));
    for (rest, count) in [("/service-accounts/deploy/bindings", 1), ("/invitations", 2)] {
        let list = theirs.manage("GET", rest, &Value::Null).expect(&[200]).json();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(count), "{rest}: {list}");
    }
}

/// Of one account the things of another one, in the same organization and a person's.
#[test]
fn t12_identifiers_of_another_account() {
    let machine = Machine::new();
    machine.manage("POST", "/service-accounts", &json!({ "name": "other" })).expect(&[201]);
    for (method, path) in things(&machine).into_iter().take(4) {
        let body = if method == "POST" { json!({}) } else { Value::Null };
        let path = machine.at(&path.replace("/deploy/", "/other/"));
        expect_problem(machine.owner.manage(method, &path, &body), 404, "not_found");
    }
    let personal = text(&machine.owner.token_create("laptop"), "id");
    let service = text(&machine.token(Value::Null), "id");
    let path = format!("/service-accounts/deploy/tokens/{personal}");
    expect_problem(machine.manage("DELETE", &path, &Value::Null), 404, "not_found");
    let answer = machine.owner.manage("DELETE", &format!("/me/tokens/{service}"), &Value::Null);
    expect_problem(answer, 404, "not_found");
    // A person is no service account, whatever path names it.
    for name in [machine.owner.username(), "admin"] {
        let answer = machine.manage("GET", &format!("/service-accounts/{name}/tokens"), &Value::Null);
        expect_problem(answer, 404, "not_found");
    }
}

/// Everything that stands on an account, made before its end comes.
fn credentials(machine: &Machine) -> Vec<(&'static str, Api)> {
    let scope = format!("repository:{}:pull,push", machine.repository("app"));
    let token = machine.signed_in();
    let minted = machine.publishing("mint-token", &issuer().token(&machine.claims())).expect(&[200]).json();
    let minted = machine.bringing(&text(&minted, "token"));
    let job = machine.job(&issuer().token(&machine.claims()));
    let bearers = [&token, &minted, &job].map(|caller| caller.as_bearer(&caller.token(&[&scope])));
    let [of_token, of_minted, of_job] = bearers;
    vec![
        ("a token", token),
        ("a token from a token", of_token),
        ("a minted token", minted),
        ("a token from a minted token", of_minted),
        ("a job's own token", job),
        ("a token from a job's own token", of_job),
    ]
}

#[test]
fn t16_what_ends_is_over_at_once_for_everything_that_stands_on_it() {
    type End = fn(&Machine);
    let ends: [(&str, End, u16); 4] = [
        (
            "the membership",
            |machine| {
                let place = Place::Organization(&machine.organization.name);
                machine.owner.member_delete(place, &machine.username());
            },
            403,
        ),
        ("the role", |machine| machine.is(Role::Viewer), 403),
        (
            "the account, disabled",
            |machine| {
                machine.of_account("PATCH", "", &json!({ "disabled": true })).expect(&[200]);
            },
            401,
        ),
        (
            "the account",
            |machine| {
                machine.of_account("DELETE", "", &Value::Null).expect(&[204]);
            },
            401,
        ),
    ];
    for (what, end, status) in ends {
        let machine = Machine::new();
        machine.bind(json!({}));
        let repository = machine.repository("app");
        machine.organization.member(Role::Writer).image_push(&repository, "1", &small_manifest());
        let callers = credentials(&machine);
        for (who, caller) in &callers {
            // Twice, so that whatever is remembered is.
            for _ in 0..2 {
                assert_eq!(machine.push(caller), 202, "{who}");
                caller.manifest_get(&repository, "1").expect(&[200]);
            }
        }
        end(&machine);
        for (who, caller) in &callers {
            assert_eq!(machine.push(caller), status, "{what} is over, and {who} still pushes");
            if what != "the role" {
                assert_eq!(caller.manifest_get(&repository, "1").status, status, "{what}: {who} still pulls");
            }
            let file = Wheel::new(&format!("pkg-{}", random_word()), "1.0").build();
            let answer = caller.python_upload(&machine.organization.name, "main", &file);
            assert!([401, 403].contains(&answer.status), "{what}: {who} uploads: {answer}");
        }
    }
}

/// What came in through a binding falls with it, and nothing else does.
#[test]
fn t16_a_binding_that_is_deleted() {
    let machine = Machine::new();
    let id = machine.bind(json!({}));
    let callers = credentials(&machine);
    machine.of_account("DELETE", &format!("/bindings/{id}"), &Value::Null).expect(&[204]);
    for (who, caller) in &callers {
        let expected = if ["a token", "a token from a token"].contains(who) { 202 } else { 401 };
        assert_eq!(machine.push(caller), expected, "{who}");
    }
    let token = issuer().token(&machine.claims());
    machine.exchange(&token, "").expect(&[400]);
    machine.publishing("mint-token", &token).expect(&[422]);
}

/// A blob that was deleted and is there again somewhere else is not back here.
#[test]
fn t16_a_link_that_is_gone_stays_gone() {
    let machine = Machine::new();
    let caller = machine.signed_in();
    let (app, other) = (machine.repository("app"), machine.repository("other"));
    let content = random_word();
    let digest = caller.blob_push(&app, content.as_bytes());
    caller.blob_get(&app, &digest).expect(&[200]);
    caller.ask("DELETE", &format!("/v2/{app}/blobs/{digest}")).expect(&[202]);
    caller.blob_get(&app, &digest).expect(&[404]);
    caller.blob_push(&other, content.as_bytes());
    caller.blob_get(&other, &digest).expect(&[200]);
    caller.blob_get(&app, &digest).expect(&[404]);
}

/// Each kind of credential at each door: only where it belongs does it open.
#[test]
fn t18_no_credential_stands_in_for_another() {
    let own = own_server(&[("LARDER_AUTH__INTERNAL_ISSUERS", &issuer().url())]);
    let machine = Machine::on(&own, &issuer().url());
    machine.bind(json!({}));
    let person = machine.organization.member(Role::Writer);
    let refresh = {
        let answer = person.ask("GET", "/token?service=larder&offline_token=true").expect(&[200]);
        text(&answer.json(), "refresh_token")
    };
    let minted = machine.publishing("mint-token", &issuer().token(&machine.claims())).expect(&[200]).json();
    let invitation =
        machine.manage("POST", "/invitations", &json!({ "role": "viewer" })).expect(&[201]).json();
    let link = text(&invitation, "link");
    // What it is, the name that goes with it, and at which doors it is good: as password, as bearer token, as
    // refresh token, to be exchanged, to be minted from.
    let kinds = [
        ("password", person.username().to_owned(), person.password().to_owned(), "10000"),
        ("personal token", person.username().to_owned(), text(&person.token_create("t"), "token"), "11000"),
        ("service token", machine.username(), text(&machine.token(Value::Null), "token"), "11000"),
        ("minted token", machine.username(), text(&minted, "token"), "11000"),
        ("refresh token", person.username().to_owned(), refresh, "00100"),
        ("access token", person.username().to_owned(), person.token(&[]), "01000"),
        ("job's token", machine.username(), issuer().token(&machine.claims()), "11010"),
        (
            "invitation",
            person.username().to_owned(),
            link.rsplit('/').next().unwrap_or_default().to_owned(),
            "00000",
        ),
    ];
    for (what, name, secret, expected) in &kinds {
        let nobody = machine.owner.as_nobody();
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let refresh = format!("grant_type=refresh_token&refresh_token={secret}&service=larder");
        let password = machine.owner.as_user(name, secret).ask("GET", "/v2/").status;
        let by_form = format!(
            "grant_type=password&username={}&password={secret}&service=larder",
            name.replace('+', "%2B")
        );
        assert_eq!(nobody.call("POST", "/token", &form, by_form).status, password, "{what} by form");
        let doors = [
            password,
            nobody.as_bearer(secret).ask("GET", "/v2/").status,
            nobody.call("POST", "/token", &form, refresh).status,
            machine.exchange(secret, "").status,
            machine.publishing("mint-token", secret).status,
        ];
        let open: String = doors.iter().map(|status| if *status == 200 { '1' } else { '0' }).collect();
        // A job's token is exchanged once, by whichever of the last two doors comes first.
        assert_eq!(&open, expected, "{what}: {doors:?}");
        // Nothing but a link is an invitation.
        if *what != "invitation" {
            let answer = person.manage("POST", "/invitations:accept", &json!({ "secret": secret }));
            expect_problem(answer, 404, "not_found");
        }
        // And each kind is its own under every name that is not its owner's. What may be a password would only
        // slow everybody down.
        if !["password", "invitation"].contains(what) {
            for other in ["admin", "oidc2", machine.owner.username()] {
                let answer = machine.owner.as_user(other, secret).ask("GET", "/v2/");
                assert_eq!(answer.status, 401, "{what} as {other}: {answer}");
            }
        }
    }
}

/// Jobs that are not the one that was meant, however much they look like it.
#[test]
fn t19_jobs_that_imitate_another() {
    let machine = Machine::new();
    let good = machine.claims();
    machine.bind(json!({ "claims": [
        { "claim": "repository_id", "equals": good.text("repository_id") },
        { "claim": "repository", "equals": good.text("repository") },
        { "claim": "ref", "glob": "refs/heads/*" },
        { "claim": "environment", "any_of": ["release", "production"] },
    ] }));
    let good = good.with("environment", "release");
    machine.may_push(&machine.job(&issuer().token(&good)));
    let forged: [(&str, Claims); 16] = [
        ("a repository of the same name, made again", good.clone().with("repository_id", "99")),
        ("a repository that was renamed", good.clone().with("repository", "somebody/else")),
        ("a fork", good.clone().with("repository", "mallory/app").with("repository_id", "99")),
        ("a number in the place of a text", good.clone().with("repository_id", json!([99]))),
        ("a branch of another depth", good.clone().with("ref", "refs/heads/feature/x")),
        ("a tag", good.clone().with("ref", "refs/tags/v1")),
        ("another environment", good.clone().with("environment", "staging")),
        ("no environment", good.clone().without("environment")),
        ("an environment in other letters", good.clone().with("environment", "Release")),
        ("what strangers propose", good.clone().with("event_name", "pull_request_target")),
        ("what a stranger's job set off", good.clone().with("event_name", "workflow_run")),
        ("another audience", good.clone().with("aud", "https://elsewhere.example.com")),
        ("two audiences", good.clone().with("aud", json!([machine.url, "https://elsewhere.example.com"]))),
        ("no audience", good.clone().without("aud")),
        ("an issuer with a slash more", good.clone().with("iss", format!("{}/", machine.issuer))),
        (
            "an issuer of somebody's own",
            good.clone().with("iss", format!("{}/_services/token", machine.issuer)),
        ),
    ];
    for (who, claims) in forged {
        let token = issuer().token(&claims.anew());
        assert_eq!(machine.push(&machine.job(&token)), 401, "{who} signs in");
        assert_eq!(machine.push(&machine.signed_in_with(&token)), 401, "{who} signs in by name");
        let answer = machine.exchange(&token, "");
        assert_eq!(answer.status, 400, "{who} exchanges: {answer}");
        let answer = machine.publishing("mint-token", &token);
        assert_eq!(answer.status, 422, "{who} mints: {answer}");
        // To whoever sent it, every reason looks the same.
        assert!(!String::from_utf8_lossy(&answer.body).contains("environment"), "{answer}");
    }
    machine.may_push(&machine.job(&issuer().token(&good.anew())));
}

/// Signatures that are none of the issuer's, and tokens that bring their own keys. None is worth a question to
/// anybody: the issuer is asked for its keys, and nobody else is.
#[test]
fn t17_signatures_that_are_not_the_issuers() {
    let (honest, other) = (Issuer::start(), Issuer::start());
    let server =
        own_server(&[("LARDER_AUTH__INTERNAL_ISSUERS", &format!("{}, {}", honest.url(), other.url()))]);
    let machine = Machine::on(&server, &honest.url());
    machine.bind(json!({}));
    let claims = machine.claims();
    machine.may_push(&machine.job(&honest.token(&claims)));
    let (key, own) = (honest.key(), Key::rs256());
    let body = claims.to_json();
    let with = |member: &str, value: Value| {
        let mut header = json!({ "alg": "RS256", "typ": "JWT", "kid": own.kid() });
        header[member] = value;
        own.token_with_header(&header, &body)
    };
    let pem = key.public_pem();
    let mut forged = vec![
        ("another key under the same name", own.clone().named(key.kid()).token(&claims)),
        ("a key that nobody knows", own.token(&claims)),
        ("another issuer's key", other.token(&claims)),
        ("a key in the header", with("jwk", own.jwk())),
        ("a set of keys by address", with("jku", json!(other.keys_url()))),
        ("a certificate by address", with("x5u", json!(other.url_at("/certificate")))),
        ("a path for a name", with("kid", json!("../../../../dev/null"))),
        ("a statement for a name", with("kid", json!("' OR '1'='1"))),
        ("no name of a key", with("kid", Value::Null)),
        ("the public key as a secret", testkit::issuer::hmac_token(key.kid(), pem.as_bytes(), &claims)),
        ("an empty secret", testkit::issuer::hmac_token(key.kid(), b"", &claims)),
    ];
    for none in ["none", "None", "NONE", "nOnE"] {
        forged.push(("no signature", testkit::issuer::unsigned_token(none, &claims)));
    }
    let good = honest.token(&claims);
    let (signed, signature) = good.rsplit_once('.').expect("a token has parts");
    forged.push(("a signature that was cut off", format!("{signed}.")));
    forged.push(("half a signature", format!("{signed}.{}", &signature[..signature.len() / 2])));
    let asked = other.requests().len();
    for (what, token) in forged {
        assert_eq!(machine.push(&machine.job(&token)), 401, "{what} signs in");
        assert_eq!(machine.exchange(&token, "").status, 400, "{what} is exchanged");
        assert_eq!(machine.publishing("mint-token", &token).status, 422, "{what} is minted from");
    }
    assert_eq!(other.requests().len(), asked, "somebody was asked who has nothing to do with it");
    machine.may_push(&machine.job(&good));
}

/// An issuer that no binding names is a stranger, whatever it signs, and is not spoken to.
#[test]
fn t20_an_issuer_that_nobody_trusts_is_never_asked() {
    let stranger = Issuer::start();
    let claims = Claims::github(&stranger.url(), "mallory/app", &server().url());
    let machine = Machine::new();
    let token = stranger.token(&claims);
    assert_eq!(machine.push(&machine.job(&token)), 401);
    machine.exchange(&token, "").expect(&[400]);
    machine.publishing("mint-token", &token).expect(&[422]);
    machine.trials(&token);
    assert_eq!(stranger.requests(), Vec::new());
}

/// No name holds a NUL, and one of the databases takes no text with one: wherever a name can come from, it is
/// answered like any other that nobody has.
#[test]
fn t25_a_nul_is_in_no_name() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let good = machine.claims();
    for claims in [
        good.clone().with("iss", "http://localhost\0"),
        good.clone().with("aud", "\0"),
        good.clone().with("repository_id", "\0"),
        good.clone().with("jti", "\0"),
        good.with("sub", "\0"),
    ] {
        let token = issuer().token(&claims);
        let status = machine.exchange(&token, "").status;
        assert!([200, 400].contains(&status), "{claims:?}: {status}");
        let status = machine.publishing("mint-token", &token).status;
        assert!([200, 422].contains(&status), "{claims:?}: {status}");
        let status = machine.push(&machine.job(&token));
        assert!([202, 401].contains(&status), "{claims:?}: {status}");
    }
    let token = issuer().token(&machine.claims());
    machine.exchange(&token, "&service_account=a%00b").expect(&[400]);
    for (username, secret) in [("a\0b", token.as_str()), ("a\0b", "x"), ("oidc", "x\0")] {
        machine.owner.as_user(username, secret).ask("GET", "/v2/").expect(&[401]);
    }
    for (method, path, body) in [
        ("GET", machine.at("/service-accounts/a%00b"), Value::Null),
        ("GET", machine.at("/service-accounts/deploy/bindings/%00"), Value::Null),
        ("DELETE", machine.at("/invitations/%00"), Value::Null),
        ("GET", machine.at("/service-accounts?cursor=%00"), Value::Null),
        ("GET", machine.at("/invitations?cursor=%00"), Value::Null),
        ("GET", "/access/explain?action=registry:read&resource=a/b&principal=%00".to_owned(), Value::Null),
        ("POST", "/invitations:accept".to_owned(), json!({ "secret": "\0" })),
        ("POST", machine.at("/service-accounts"), json!({ "name": "a\0b" })),
        ("POST", machine.at("/service-accounts/deploy/tokens"), json!({ "name": "\0" })),
        ("POST", machine.at("/invitations"), json!({ "role": "viewer", "email": "a\0@b" })),
        ("PATCH", machine.at("/service-accounts/deploy"), json!({ "description": "\0" })),
    ] {
        let answer = machine.owner.manage(method, &path, &body);
        assert!(answer.status < 500, "{method} {path}: {answer}");
    }
    let list = [("equals", json!("\0")), ("glob", json!("\0"))];
    for (rule, value) in list {
        let claims = json!([{ "claim": "repository_id", "equals": "1" }, { "claim": "ref", rule: value }]);
        machine.try_bind(json!({ "claims": claims })).expect(&[422]);
    }
}

/// Whatever comes as a job's token is no password: it costs no slow hash and slows nobody down.
#[test]
fn t35_a_jobs_token_is_in_no_log() {
    let own =
        own_server(&[("LARDER_AUTH__INTERNAL_ISSUERS", &issuer().url()), ("LARDER_LOG__LEVEL", "trace")]);
    let machine = Machine::on(&own, &issuer().url());
    machine.bind(json!({}));
    let good = issuer().token(&machine.claims());
    let bad = issuer().token(&machine.claims().with("repository_id", "1"));
    let service = text(&machine.token(Value::Null), "token");
    let minted = machine.publishing("mint-token", &good).expect(&[200]).json();
    for token in [&good, &bad, &service, &text(&minted, "token")] {
        for caller in [machine.job(token), machine.bringing(token), machine.owner.as_bearer(token)] {
            machine.push(&caller);
        }
        machine.exchange(token, "");
        machine.publishing("mint-token", token);
        machine.trials(&bad);
    }
    let log = own.log();
    assert!(log.contains("request"), "the log is empty");
    for token in [&good, &bad, &service, &text(&minted, "token")] {
        // Half of it is still too much.
        let secret = &token[token.len() - 30..];
        assert!(!log.contains(secret), "a token is in the log: {secret}");
    }
}
