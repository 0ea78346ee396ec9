use serde_json::{Value, json};
use testkit::cognito::Cognito;
use testkit::issuer::{claims_of, header_of};

use super::client;

const PASSWORD: &str = "Correct-horse-7";

#[test]
fn people_sign_in_with_a_password_and_get_cognitos_tokens() {
    let cognito = Cognito::start();
    let pool = cognito.pool();
    let program = pool.client(true);
    pool.put_user("ada", PASSWORD, &[("email", "ada@example.com")]);
    for group in ["dev", "ops"] {
        pool.put_group(group);
        pool.join("ada", group);
    }
    let tokens = program.sign_in("ada", PASSWORD);
    let (id, access) = (claims_of(&tokens.id), claims_of(&tokens.access));
    assert_eq!((&id["iss"], &access["iss"]), (&json!(pool.issuer()), &json!(pool.issuer())));
    assert_eq!((&id["token_use"], &id["aud"]), (&json!("id"), &json!(program.id())));
    assert_eq!((&access["token_use"], &access["client_id"]), (&json!("access"), &json!(program.id())));
    assert_eq!(access["aud"], Value::Null, "access tokens are for everybody");
    let groups = id["cognito:groups"].as_array().expect("a list of groups");
    assert!(
        groups.len() == 2 && groups.contains(&json!("dev")) && groups.contains(&json!("ops")),
        "{groups:?}"
    );
    assert_eq!(id["sub"], access["sub"]);

    let keys: Value = client().get(pool.keys_url()).send().unwrap().json().unwrap();
    let named = keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header_of(&tokens.id)["kid"]);
    assert!(named, "the key of the token is published: {keys}");
    assert!(cognito.log().contains("POST / HTTP/1.1"));
}

#[test]
fn whoever_may_not_sign_in_is_told_so() {
    let cognito = Cognito::start();
    let pool = cognito.pool();
    let program = pool.client(false);
    assert_eq!((program.secret(), program.secret_hash("ada")), (None, None));
    pool.put_user("ada", PASSWORD, &[]);
    let refused = program.initiate("ada", "wrong").expect(&[400]).json();
    assert_eq!(refused["__type"], "NotAuthorizedException");
    program.initiate("nobody", PASSWORD).expect(&[400]);
    pool.set_enabled("ada", false);
    program.initiate("ada", PASSWORD).expect(&[400]);
    pool.set_enabled("ada", true);
    program.sign_in("ada", PASSWORD);
    pool.invite_user("grace", PASSWORD, &[("email", "grace@example.com")]);
    let challenge = program.initiate("grace", PASSWORD).expect(&[200]).json();
    assert_eq!(challenge["ChallengeName"], "NEW_PASSWORD_REQUIRED");
}
