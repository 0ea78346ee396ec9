//! The management API under `/api/v1`.

mod members;
mod tokens;

use serde_json::{Value, json};
use testkit::{Answer, Api, Place, Role, Visibility, random_word};

use crate::scene::{
    Calls as _, Organization, admin, expect_problem, outsider, own_server, raw_with_token, server,
    small_manifest,
};

/// No body.
const NOTHING: Value = Value::Null;

/// The values of `field` in a list's items, in their order.
#[track_caller]
fn fields(page: &Value, field: &str) -> Vec<String> {
    let items = page["items"].as_array().unwrap_or_else(|| panic!("no items: {page}"));
    items.iter().map(|item| item[field].as_str().expect("a field is text").to_owned()).collect()
}

/// Reads a list to its end in pages of `limit` and returns one field of all items.
#[track_caller]
fn read_all(api: &Api, path: &str, limit: usize, field: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            api.manage("GET", &format!("{path}?limit={limit}{cursor}"), &NOTHING).expect(&[200]).json();
        let items = fields(&page, field);
        assert!(items.len() <= limit, "more than asked for: {page}");
        found.extend(items);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[test]
fn an_organization_is_created_read_listed_and_deleted() {
    let name = format!("org-{}", random_word());
    let created = admin().manage("POST", "/organizations", &json!({ "name": name })).expect(&[201]).json();
    assert_eq!(created["name"], name);
    assert!(created["created_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{created}");
    let path = format!("/organizations/{name}");
    assert_eq!(admin().manage("GET", &path, &NOTHING).expect(&[200]).json(), created);
    assert!(read_all(admin(), "/organizations", 200, "name").contains(&name));
    // Whoever creates it administers it.
    let members = admin().manage("GET", &format!("{path}/members"), &NOTHING).expect(&[200]).json();
    assert_eq!(members["items"], json!([{ "username": "admin", "role": "admin" }]));
    expect_problem(admin().manage("POST", "/organizations", &json!({ "name": name })), 409, "conflict");
    admin().manage("DELETE", &path, &NOTHING).expect(&[204]);
    expect_problem(admin().manage("GET", &path, &NOTHING), 404, "not_found");
    expect_problem(admin().manage("DELETE", &path, &NOTHING), 404, "not_found");
    assert!(!read_all(admin(), "/organizations", 200, "name").contains(&name));
}

#[test]
fn names_that_cannot_be_are_refused_with_the_field() {
    let organization = Organization::new();
    let registries = format!("/organizations/{}/registries", organization.name);
    for path in ["/organizations", registries.as_str()] {
        for name in ["", "Upper", "a/b", "a b", "-a", "a..b", "ä", &"a".repeat(65), "a\u{1b}[31m"] {
            let problem =
                expect_problem(admin().manage("POST", path, &json!({ "name": name })), 422, "invalid");
            assert_eq!(problem["field"], "name", "{name:?}: {problem}");
        }
    }
    for name in ["api", "token", "v2", "admin"] {
        let problem = expect_problem(
            admin().manage("POST", "/organizations", &json!({ "name": name })),
            422,
            "invalid",
        );
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("reserved")), "{problem}");
    }
    // In a path such a name is one that nothing has.
    expect_problem(admin().manage("GET", "/organizations/Upper", &NOTHING), 404, "not_found");
}

#[test]
fn an_organization_is_seen_by_its_members_alone() {
    let organization = Organization::new();
    let (viewer, stranger) = (organization.member(Role::Viewer), outsider());
    let path = format!("/organizations/{}", organization.name);
    viewer.manage("GET", &path, &NOTHING).expect(&[200]);
    assert_eq!(read_all(&viewer, "/organizations", 10, "name"), [organization.name.as_str()]);
    assert!(read_all(&stranger, "/organizations", 10, "name").is_empty());
    for method in ["GET", "DELETE"] {
        expect_problem(stranger.manage(method, &path, &NOTHING), 404, "not_found");
    }
    expect_problem(organization.member(Role::Writer).manage("DELETE", &path, &NOTHING), 403, "denied");
    expect_problem(viewer.manage("POST", "/organizations", &json!({ "name": "mine" })), 403, "denied");
    // A role on one registry shows the organization around it.
    let guest = outsider();
    organization.admin().member_put(
        Place::Registry(&organization.name, "main"),
        guest.username(),
        Role::Viewer,
    );
    guest.manage("GET", &path, &NOTHING).expect(&[200]);
    expect_problem(guest.manage("GET", &format!("{path}/members"), &NOTHING), 403, "denied");
}

#[test]
fn an_organization_with_registries_is_not_deleted() {
    let organization = Organization::new();
    let path = format!("/organizations/{}", organization.name);
    expect_problem(admin().manage("DELETE", &path, &NOTHING), 409, "conflict");
    organization.admin().manage("GET", &format!("{path}/registries/main"), &NOTHING).expect(&[200]);
}

#[test]
fn a_registry_is_created_read_listed_changed_and_deleted() {
    let organization = Organization::new();
    let owner = organization.member(Role::Admin);
    let list = format!("/organizations/{}/registries", organization.name);
    let created =
        owner.manage("POST", &list, &json!({ "name": "prod", "visibility": "public" })).expect(&[201]).json();
    assert_eq!(created["organization"], organization.name);
    assert_eq!((&created["name"], &created["visibility"]), (&json!("prod"), &json!("public")));
    let path = format!("{list}/prod");
    assert_eq!(owner.manage("GET", &path, &NOTHING).expect(&[200]).json(), created);
    assert_eq!(read_all(&owner, &list, 1, "name"), ["main", "prod"]);
    // Private unless it is said otherwise.
    let quiet = owner.manage("POST", &list, &json!({ "name": "quiet" })).expect(&[201]).json();
    assert_eq!(quiet["visibility"], "private");

    let changed = owner.manage("PATCH", &path, &json!({ "visibility": "private" })).expect(&[200]).json();
    assert_eq!(changed["visibility"], "private");
    assert_eq!(owner.manage("PATCH", &path, &json!({})).expect(&[200]).json(), changed);
    assert_eq!(changed["sparse_manifests"], false);
    let sparse = owner.manage("PATCH", &path, &json!({ "sparse_manifests": true })).expect(&[200]).json();
    assert_eq!((&sparse["sparse_manifests"], &sparse["visibility"]), (&json!(true), &json!("private")));
    expect_problem(owner.manage("POST", &list, &json!({ "name": "prod" })), 409, "conflict");
    owner.manage("DELETE", &path, &NOTHING).expect(&[204]);
    for (method, body) in [("GET", NOTHING), ("DELETE", NOTHING), ("PATCH", json!({}))] {
        expect_problem(owner.manage(method, &path, &body), 404, "not_found");
    }
    // The name is free again.
    owner.manage("POST", &list, &json!({ "name": "prod" })).expect(&[201]);
}

#[test]
fn a_registry_with_content_is_deleted_only_by_force() {
    let organization = Organization::new();
    let (owner, repository) = (organization.member(Role::Admin), organization.repository("app"));
    owner.image_push(&repository, "v1", &small_manifest());
    let path = format!("/organizations/{}/registries/main", organization.name);
    for force in ["", "?force=false"] {
        let problem =
            expect_problem(owner.manage("DELETE", &format!("{path}{force}"), &NOTHING), 409, "conflict");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("force=true")), "{problem}");
    }
    owner.manifest_get(&repository, "v1").expect(&[200]);
    for query in ["?force=maybe", "?froce=true"] {
        expect_problem(owner.manage("DELETE", &format!("{path}{query}"), &NOTHING), 400, "malformed");
    }
    owner.manage("DELETE", &format!("{path}?force=true"), &NOTHING).expect(&[204]);
    owner.manifest_get(&repository, "v1").expect(&[404]);
    // A new registry of the same name begins empty.
    owner.registry_create(&organization.name, "main", Visibility::Private);
    owner.manifest_get(&repository, "v1").expect(&[404]);
    assert_eq!(owner.ask("GET", &format!("/v2/{repository}/tags/list")).expect(&[404]).status, 404);
}

#[test]
fn who_may_not_manage_a_registry_is_told_so_and_a_stranger_is_told_nothing() {
    let organization = Organization::new();
    let list = format!("/organizations/{}/registries", organization.name);
    let path = format!("{list}/main");
    let new = json!({ "name": "extra" });
    for member in [organization.member(Role::Viewer), organization.member(Role::Writer)] {
        member.manage("GET", &path, &NOTHING).expect(&[200]);
        expect_problem(member.manage("POST", &list, &new), 403, "denied");
        expect_problem(member.manage("PATCH", &path, &json!({ "visibility": "public" })), 403, "denied");
        expect_problem(member.manage("DELETE", &path, &NOTHING), 403, "denied");
    }
    let stranger = outsider();
    expect_problem(stranger.manage("GET", &list, &NOTHING), 404, "not_found");
    expect_problem(stranger.manage("POST", &list, &new), 404, "not_found");
    for (method, body) in
        [("GET", NOTHING), ("DELETE", NOTHING), ("PATCH", json!({ "visibility": "public" }))]
    {
        expect_problem(stranger.manage(method, &path, &body), 404, "not_found");
    }
    // An administrator of one registry manages that one and creates none.
    let keeper = outsider();
    admin().member_put(Place::Registry(&organization.name, "main"), keeper.username(), Role::Admin);
    keeper.manage("PATCH", &path, &json!({ "visibility": "private" })).expect(&[200]);
    expect_problem(keeper.manage("POST", &list, &new), 403, "denied");
}

#[test]
fn lists_of_registries_show_what_the_caller_may_see() {
    let organization = Organization::new();
    organization.registry("closed", Visibility::Private);
    organization.registry("open", Visibility::Public);
    let guest = outsider();
    organization.admin().member_put(
        Place::Registry(&organization.name, "main"),
        guest.username(),
        Role::Viewer,
    );
    let list = format!("/organizations/{}/registries", organization.name);
    assert_eq!(read_all(&guest, &list, 1, "name"), ["main", "open"]);
    assert_eq!(read_all(&organization.member(Role::Viewer), &list, 2, "name"), ["closed", "main", "open"]);
}

#[test]
fn visibility_counts_from_the_next_request_on() {
    let organization = Organization::new();
    let (owner, repository) = (organization.member(Role::Admin), organization.repository("app"));
    let pushed = owner.image_push(&repository, "v1", &small_manifest());
    let path = format!("/organizations/{}/registries/main", organization.name);
    let nobody = owner.as_nobody();
    let scope = format!("repository:{repository}:pull");
    let pull = |expected: u16| {
        let caller = nobody.as_bearer(&nobody.token(&[&scope]));
        let answer = caller.manifest_get(&repository, "v1").expect(&[expected]);
        assert_eq!(answer.body == pushed.bytes, expected == 200, "{answer}");
        caller
    };
    pull(403);
    for _ in 0..3 {
        owner.manage("PATCH", &path, &json!({ "visibility": "public" })).expect(&[200]);
        let caller = pull(200);
        owner.manage("PATCH", &path, &json!({ "visibility": "private" })).expect(&[200]);
        // The token from before is no help.
        caller.manifest_get(&repository, "v1").expect(&[403]);
        pull(403);
    }
}

#[test]
fn a_user_is_created_read_listed_and_deleted() {
    let username = format!("user-{}", random_word());
    let body = json!({ "username": username, "email": "somebody@example.com", "password": random_word() });
    let answer = admin().manage("POST", "/users", &body).expect(&[201]);
    let password = body["password"].as_str().expect("a password is text");
    assert!(
        !String::from_utf8_lossy(&answer.body).contains(password),
        "the answer repeats the password: {answer}"
    );
    let created = answer.json();
    assert_eq!((&created["username"], &created["system_admin"]), (&json!(username), &json!(false)));
    assert_eq!(created["email"], "somebody@example.com");
    let path = format!("/users/{username}");
    assert_eq!(admin().manage("GET", &path, &NOTHING).expect(&[200]).json(), created);
    assert!(read_all(admin(), "/users", 200, "username").contains(&username));
    expect_problem(admin().manage("POST", "/users", &body), 409, "conflict");

    let user = admin().as_user(&username, password);
    let me = user.manage("GET", "/me", &NOTHING).expect(&[200]).json();
    for (field, value) in created.as_object().expect("a user is an object") {
        assert_eq!(me[field], *value, "{field}: {me}");
    }
    for (method, path, body) in [
        ("GET", "/users", &NOTHING),
        ("POST", "/users", &body),
        ("GET", path.as_str(), &NOTHING),
        ("DELETE", path.as_str(), &NOTHING),
    ] {
        expect_problem(user.manage(method, path, body), 403, "denied");
    }
    admin().manage("DELETE", &path, &NOTHING).expect(&[204]);
    expect_problem(admin().manage("GET", &path, &NOTHING), 404, "not_found");
    expect_problem(admin().manage("DELETE", &path, &NOTHING), 404, "not_found");
}

#[test]
fn users_that_cannot_be_are_refused_with_the_field() {
    let long = "a".repeat(65);
    let cases = [
        ("username", vec!["", "Upper", "a b", "-a", long.as_str()]),
        ("email", vec!["", "nobody", "a@b@c", "a b@example.com"]),
        ("password", vec!["", "short", "lrd_pat_looks_like_a_token"]),
    ];
    for (field, values) in cases {
        for value in values {
            let mut body = json!({
                "username": format!("user-{}", random_word()), "email": "a@example.com", "password": random_word()
            });
            body[field] = json!(value);
            let answer = admin().manage("POST", "/users", &body);
            let problem = expect_problem(answer, 422, "invalid");
            assert_eq!(problem["field"], field, "{value:?}: {problem}");
            let repeats = field == "password" && !value.is_empty() && problem.to_string().contains(value);
            assert!(!repeats, "the answer repeats the password: {problem}");
        }
    }
}

#[test]
fn a_deleted_user_is_out_at_once() {
    let organization = Organization::new();
    let user = organization.member(Role::Writer);
    let scope = format!("repository:{}:pull,push", organization.repository("app"));
    let bearer = user.as_bearer(&user.token(&[&scope]));
    let personal = user.token_create("laptop")["token"].as_str().expect("a token is text").to_owned();
    let personal = user.as_bearer(&personal);
    for caller in [&user, &bearer, &personal] {
        caller.ask("GET", "/v2/").expect(&[200]);
    }
    admin().user_delete(user.username());
    for caller in [&bearer, &personal] {
        caller.ask("GET", "/v2/").expect(&[401]);
    }
    user.ask("GET", "/v2/").expect(&[401]);
    let members = admin().member_list(Place::Organization(&organization.name));
    assert!(!fields(&members, "username").contains(&user.username().to_owned()), "{members}");
}

#[test]
fn the_last_administrator_of_the_server_stays() {
    let server = own_server(&[]);
    let problem = expect_problem(server.api().manage("DELETE", "/users/admin", &NOTHING), 409, "last_admin");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("system admin")), "{problem}");
    server.api().manage("GET", "/me", &NOTHING).expect(&[200]);
}

/// An organization with two administrators, of which the one who runs the server is none.
fn administered_by_two() -> (Organization, [Api; 2]) {
    let organization = Organization::new();
    let administrators = [organization.member(Role::Admin), organization.member(Role::Admin)];
    admin().member_delete(Place::Organization(&organization.name), admin().username());
    (organization, administrators)
}

fn delete_user(user: &Api) -> Answer {
    admin().manage("DELETE", &format!("/users/{}", user.username()), &NOTHING)
}

#[test]
fn the_last_administrator_of_an_organization_stays() {
    let (organization, [ada, bob]) = administered_by_two();
    let place = Place::Organization(&organization.name);
    let carol = outsider();
    delete_user(&bob).expect(&[204]);
    let problem = expect_problem(delete_user(&ada), 409, "conflict");
    let detail = problem["detail"].as_str().expect("a detail is text");
    assert!(detail.contains(&format!("the only administrator of {};", organization.name)), "{detail}");
    assert!(detail.contains("give another person the role admin there"), "{detail}");
    ada.manage("GET", "/me", &NOTHING).expect(&[200]);
    ada.member_put(place, carol.username(), Role::Admin);
    delete_user(&ada).expect(&[204]);
    expect_problem(delete_user(&carol), 409, "conflict");
}

#[test]
fn two_administrators_of_an_organization_do_not_leave_at_once() {
    for round in 0..6 {
        let (organization, [ada, bob]) = administered_by_two();
        let leave = || {
            let path = format!("/organizations/{}/members/{}", organization.name, bob.username());
            if round % 2 == 0 { bob.manage("DELETE", &path, &NOTHING) } else { delete_user(&bob) }
        };
        let together = std::sync::Barrier::new(2);
        let answers = std::thread::scope(|scope| {
            let deleted = scope.spawn(|| {
                together.wait();
                delete_user(&ada)
            });
            together.wait();
            [leave(), deleted.join().expect("the other one has an answer")]
        });
        let mut statuses = answers.each_ref().map(|answer| answer.status);
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 409], "{answers:?}");
    }
}

#[test]
fn without_credentials_every_path_asks_for_them() {
    let nobody = admin().as_nobody();
    for endpoint in crate::isolation::api_endpoints() {
        let path = endpoint.path.replace(['{', '}'], "");
        for caller in [&nobody, &nobody.as_bearer("garbage"), &nobody.as_bearer("lrd_pat_garbage")] {
            expect_problem(caller.manage(endpoint.method, &path, &NOTHING), 401, "unauthenticated");
        }
    }
}

#[test]
fn a_token_for_pushing_manages_nothing() {
    let user = outsider();
    let bearer = user.as_bearer(&user.token(&["repository:a/b/c:pull"]));
    expect_problem(bearer.manage("GET", "/me", &NOTHING), 403, "denied");
    expect_problem(bearer.manage("POST", "/me/tokens", &json!({ "name": "more" })), 403, "denied");
}

#[test]
fn unknown_fields_and_bodies_that_are_none_are_refused() {
    let organization = Organization::new();
    let name = &organization.name;
    let user = outsider();
    let username = user.username();
    let cases = [
        ("POST", "/organizations".to_owned(), json!({ "name": "x", "owner": "me" })),
        ("POST", format!("/organizations/{name}/registries"), json!({ "name": "x", "quota": 1 })),
        ("PATCH", format!("/organizations/{name}/registries/main"), json!({ "name": "other" })),
        ("PUT", format!("/organizations/{name}/members/{username}"), json!({ "role": "viewer", "until": 1 })),
        (
            "PUT",
            format!("/organizations/{name}/registries/main/members/{username}"),
            json!({ "role": "viewer", "x": 1 }),
        ),
        ("POST", "/me/tokens".to_owned(), json!({ "name": "x", "owner": "me" })),
        (
            "POST",
            "/users".to_owned(),
            json!({ "username": "x", "email": "a@b", "password": random_word(), "system_admin": true }),
        ),
    ];
    for (method, path, body) in &cases {
        let problem = expect_problem(admin().manage(method, path, body), 422, "malformed");
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.contains("unknown field")),
            "{problem}"
        );
        // Text that is no JSON, JSON of another shape, and JSON that does not say so.
        let full = format!("/api/v1{path}");
        let json_type = [("content-type", "application/json")];
        expect_problem(admin().call(method, &full, &json_type, "{"), 400, "malformed");
        expect_problem(admin().call(method, &full, &json_type, "[]"), 422, "malformed");
        expect_problem(
            admin().call(method, &full, &[("content-type", "text/plain")], "{}"),
            415,
            "malformed",
        );
        let huge = json!({ "name": "x".repeat(70_000) }).to_string();
        expect_problem(admin().call(method, &full, &json_type, huge), 413, "malformed");
    }
    assert!(!read_all(&user, "/organizations", 10, "name").contains(name), "a refused change took effect");
}

#[test]
fn pages_have_a_size_and_an_end() {
    let organization = Organization::new();
    let list = format!("/organizations/{}/registries", organization.name);
    let mut names: Vec<String> = (0..7).map(|number| format!("r{number}")).collect();
    for name in &names {
        organization.registry(name, Visibility::Private);
    }
    names.insert(0, "main".to_owned());
    for limit in [1, 2, 3, 8, 200] {
        assert_eq!(read_all(admin(), &list, limit, "name"), names, "in pages of {limit}");
    }
    for limit in ["0", "201", "4000000000"] {
        let page = admin().manage("GET", &format!("{list}?limit={limit}"), &NOTHING).expect(&[200]).json();
        let expected = if limit == "0" { 1 } else { names.len() };
        assert_eq!(fields(&page, "name").len(), expected, "{page}");
    }
    for query in ["?limit=many", "?limit=-1", "?limit=5000000000"] {
        expect_problem(admin().manage("GET", &format!("{list}{query}"), &NOTHING), 400, "malformed");
    }
    // A cursor that no list gave out is a place like any other.
    let page = admin().manage("GET", &format!("{list}?cursor=zzz"), &NOTHING).expect(&[200]).json();
    assert_eq!(page, json!({ "items": [], "next_cursor": null }));
    let members = format!("/organizations/{}/members?cursor=zzz", organization.name);
    admin().manage("GET", &members, &NOTHING).expect(&[200]);
}

#[test]
fn what_is_not_an_endpoint_is_a_problem_too() {
    for path in ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/organizations", "/nothing", "/"] {
        expect_problem(admin().ask("GET", path), 404, "not_found");
    }
    let answer = admin().manage("PUT", "/organizations", &json!({ "name": "x" }));
    assert!(
        answer.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("POST")),
        "{answer}"
    );
    expect_problem(answer, 405, "method_not_allowed");
    // Bytes that no name can have.
    let token = outsider().token_create("raw")["token"].as_str().expect("a token is text").to_owned();
    let answer = raw_with_token(server(), "GET /api/v1/users/%ff%fe HTTP/1.1", &token);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("request_id"), "{answer}");
}
