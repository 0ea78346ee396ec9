//! Who may read an index, and what everybody else hears (RFC 9110 §11 for the challenge).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::python::BuiltFile;
use testkit::{Answer, Api, Method, Role, Visibility, random_word};

use super::scene::{Index, expect_refusal, wheel};
use crate::scene::{Calls as _, outsider, own_server, user_of};

/// An index with one file, and every address in it that can be read.
struct Readable {
    index: Index,
    file: BuiltFile,
    paths: Vec<String>,
}

impl Readable {
    fn new() -> Self {
        Self::with(Index::new())
    }

    fn with(index: Index) -> Self {
        let file = wheel().build();
        index.takes(&file);
        let at = index.path(&format!("/files/{}/{}/{}", file.name, file.sha256(), file.filename));
        let paths = vec![
            index.path(""),
            index.path("/"),
            index.path("/simple/"),
            index.path("/+simple/"),
            index.path(&format!("/simple/{}/", file.name)),
            index.path(&format!("/+simple/{}/", file.name)),
            at.clone(),
            format!("{at}.metadata"),
        ];
        Self { index, file, paths }
    }

    /// Asserts that a caller reads everything.
    #[track_caller]
    fn opens_to(&self, caller: &Api) {
        for path in &self.paths {
            for method in ["GET", "HEAD"] {
                caller.ask(method, path).expect(&[200]);
            }
        }
    }

    /// Asserts that a caller reads nothing, and hears the same about what is there and what is not.
    #[track_caller]
    fn is_shut_to(&self, caller: &Api, status: u16, code: &str) {
        let organization = &self.index.organization().name;
        for path in &self.paths {
            let absent = path.replace(&format!("/{organization}/main/"), &format!("/{organization}/none/"));
            let nowhere = path.replace(&format!("/{organization}/"), &format!("/org-{}/", random_word()));
            for path in [path, &absent, &nowhere] {
                let answer = caller.exchange(&Method::GET, path, &[], b"");
                let message = expect_refusal(answer, status, code, "");
                let realm: Vec<_> = path.split('/').skip(3).take(2).collect();
                let answer = caller.ask("GET", path);
                if status == 401 {
                    check_challenge(&answer, &realm.join("/"));
                } else {
                    assert!(message.contains(&realm.join("/")), "{message}");
                }
            }
        }
    }
}

/// Asserts that an answer asks for a name and a password and for nothing else.
#[track_caller]
fn check_challenge(answer: &Answer, realm: &str) {
    let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
    let expected = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
    assert_eq!(challenges, [expected.as_str()], "{answer}");
}

/// A request with this `Authorization` header, byte for byte.
fn with_authorization(api: &Api, path: &str, value: &str) -> Answer {
    api.as_nobody().call("GET", path, &[("authorization", value)], "")
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

#[test]
fn i17_a_private_index_is_for_its_members() {
    let readable = Readable::new();
    let organization = readable.index.organization();
    readable.is_shut_to(&readable.index.writer.as_nobody(), 401, "UNAUTHORIZED");
    readable.is_shut_to(&outsider(), 403, "DENIED");
    readable.is_shut_to(&Index::new().writer, 403, "DENIED");
    for role in [Role::Viewer, Role::Writer, Role::Admin] {
        readable.opens_to(&organization.member(role));
    }
    // A role in another registry of the organization is none here.
    organization.registry("second", Visibility::Private);
    let guest = outsider();
    let admin = organization.admin();
    admin.member_put(testkit::Place::Registry(&organization.name, "second"), guest.username(), Role::Viewer);
    readable.is_shut_to(&guest, 403, "DENIED");
    admin.member_put(testkit::Place::Registry(&organization.name, "main"), guest.username(), Role::Viewer);
    readable.opens_to(&guest);
}

/// An installer takes 404 as leave to look elsewhere: only members hear it, and only of projects.
#[test]
fn i17_not_there_is_said_of_projects_alone_and_only_to_readers() {
    let readable = Readable::new();
    let index = &readable.index;
    for rest in ["/simple/no-such-project/", "/files/no-such/00/x", "/nothing", "/simple/a/b/c"] {
        let path = index.path(rest);
        index.writer.ask("GET", &path).expect(&[404]);
        let answer = index.writer.as_nobody().ask("GET", &path).expect(&[401]);
        check_challenge(&answer, &format!("{}/main", index.organization().name));
        outsider().ask("GET", &path).expect(&[403]);
    }
    // A name that no organization or registry can have is answered like one that nobody has.
    for place in ["Upper/main", "a..b/main", "acme/UPPER", "acme/-x", "acme/a%20b"] {
        let path = format!("/api/v1/{place}/python/simple/");
        index.writer.as_nobody().ask("GET", &path).expect(&[401]);
        index.writer.ask("GET", &path).expect(&[403]);
    }
}

#[test]
fn i17_a_public_index_is_for_everybody_to_read() {
    let readable = Readable::new();
    let index = &readable.index;
    let organization = index.organization();
    organization.admin().registry_update(&organization.name, "main", Visibility::Public);
    let nobody = index.writer.as_nobody();
    readable.opens_to(&nobody);
    readable.opens_to(&outsider());
    nobody.ask("GET", &index.path("/simple/no-such-project/")).expect(&[404]);
    // And for nobody else to write.
    let new = wheel().build();
    let answer = nobody.python_upload(&organization.name, "main", &new);
    check_challenge(&answer, &format!("{}/main", organization.name));
    expect_refusal(answer, 401, "UNAUTHORIZED", "authentication is required");
    expect_refusal(outsider().python_upload(&organization.name, "main", &new), 403, "DENIED", "may not push");
    index.page(&new.name).expect(&[404]);
    // Whoever says who they are has to be that.
    let answer = with_authorization(&nobody, &index.path("/simple/"), "Bearer nonsense").expect(&[401]);
    check_challenge(&answer, &format!("{}/main", organization.name));
    organization.admin().registry_update(&organization.name, "main", Visibility::Private);
    readable.is_shut_to(&nobody, 401, "UNAUTHORIZED");
}

/// Who guesses passwords slows down everybody at the same address: a server of its own.
#[test]
fn i17_wrong_credentials_are_none() {
    let server = own_server(&[]);
    let readable = Readable::with(Index::on(&server));
    let index = &readable.index;
    let realm = format!("{}/main", index.organization().name);
    let path = index.path("/simple/");
    for value in [
        basic(index.writer.username(), "wrong"),
        basic("nobody-at-all", "wrong"),
        basic("__token__", "lrd_pat_nonsense"),
        basic("__token__", index.writer.password()),
        "Bearer lrd_pat_nonsense".to_owned(),
        "Basic ###".to_owned(),
        "Digest x=y".to_owned(),
    ] {
        let answer = with_authorization(&index.writer, &path, &value).expect(&[401]);
        check_challenge(&answer, &realm);
        assert_eq!(answer.json()["errors"][0]["code"], "UNAUTHORIZED", "{answer}");
    }
}

#[test]
fn a_personal_token_is_taken_in_every_way_that_clients_send_it() {
    let readable = Readable::new();
    let index = &readable.index;
    let created = index.writer.token_create("ci");
    let token = created["token"].as_str().expect("a token is text");
    // Clients decode some characters of passwords in URLs and leave others.
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.~-".contains(&byte)), "{token}");
    let path = index.path("/simple/");
    for value in [
        basic("__token__", token),
        basic("__token__", &format!(" {token}\n")),
        basic(index.writer.username(), token),
        basic(index.writer.username(), index.writer.password()),
        format!("Bearer {token}"),
        basic("__token__", token).replacen("Basic", "basic", 1),
    ] {
        with_authorization(&index.writer, &path, &value).expect(&[200]);
    }
    readable.opens_to(&index.writer.as_user("__token__", token));
    readable.opens_to(&index.writer.as_bearer(token));
    for caller in [index.writer.as_user("__token__", token), index.writer.as_bearer(token)] {
        caller.python_upload(&index.organization().name, "main", &wheel().build()).expect(&[200]);
    }
    // Of another user it is none.
    let other = outsider();
    with_authorization(&index.writer, &path, &basic(other.username(), token)).expect(&[401]);
    // It opens what its owner may now, and nothing once it is taken back.
    let organization = index.organization();
    let place = testkit::Place::Organization(&organization.name);
    organization.admin().member_put(place, index.writer.username(), Role::Viewer);
    let reader = index.writer.as_user("__token__", token);
    readable.opens_to(&reader);
    let answer = reader.python_upload(&organization.name, "main", &wheel().build());
    expect_refusal(answer, 403, "DENIED", "may not push");
    index.writer.token_delete(created["id"].as_str().expect("a token has an id"));
    with_authorization(&index.writer, &path, &basic("__token__", token)).expect(&[401]);
}

/// A token of the token service is cut down to repositories, and says nothing of an index of all of them.
#[test]
fn a_token_for_pushing_and_pulling_is_not_one_for_the_index() {
    let readable = Readable::new();
    let index = &readable.index;
    let repository = index.repository(&readable.file.name);
    let scope = format!("repository:{repository}:pull,push,delete");
    for scopes in [vec![scope.as_str(), "registry:catalog:*"], vec![]] {
        let bearer = index.writer.as_bearer(&index.writer.token(&scopes));
        for path in &readable.paths {
            let answer = bearer.exchange(&Method::GET, path, &[], b"");
            expect_refusal(answer, 403, "DENIED", "use a password or a personal token here");
        }
        let answer = bearer.python_upload(&index.organization().name, "main", &wheel().build());
        expect_refusal(answer, 403, "DENIED", "use a password or a personal token here");
    }
}

#[test]
fn a_user_who_is_gone_reads_nothing() {
    let server = own_server(&[]);
    let readable = Readable::with(Index::on(&server));
    let organization = readable.index.organization();
    let user = user_of(organization.admin());
    let place = testkit::Place::Organization(&organization.name);
    organization.admin().member_put(place, user.username(), Role::Viewer);
    let token = user.token_create("ci")["token"].as_str().expect("a token is text").to_owned();
    let bearer = user.as_bearer(&token);
    for caller in [&user, &bearer] {
        readable.opens_to(caller);
    }
    organization.admin().member_delete(place, user.username());
    for caller in [&user, &bearer] {
        readable.is_shut_to(caller, 403, "DENIED");
    }
    organization.admin().user_delete(user.username());
    bearer.ask("GET", &readable.paths[2]).expect(&[401]);
}
