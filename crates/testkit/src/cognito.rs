//! Amazon Cognito as `moto` emulates it: user pools with people, groups and clients, and its own way of asking
//! for tokens with a password.
//!
//! Two things are not as they are at Amazon: all tokens are signed with one key that is known to everybody, and
//! a client's `SECRET_HASH` is not looked at when somebody signs in with a password.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::blocking;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::port::free_port;
use crate::service::Service;
use crate::{Answer, random_word, tool};

/// What stands before the name of every operation.
const SERVICE: &str = "AWSCognitoIdentityProviderService";

/// The region that pools are in.
const REGION: &str = "us-east-1";

/// How many ports are tried before giving up: somebody else may take the one that was just found free.
const ATTEMPTS: usize = 5;

/// A running emulator. It ends when this is dropped, and when the test process ends in whatever way.
#[derive(Debug)]
pub struct Cognito {
    service: Service,
    access: Access,
}

/// How its API is reached.
#[derive(Clone, Debug)]
struct Access {
    client: blocking::Client,
    port: u16,
}

/// What somebody gets who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Says who it is, for one client.
    pub id: String,
    /// Lets its owner in, without an audience.
    pub access: String,
    /// Gets new ones.
    pub refresh: String,
}

impl Cognito {
    /// Starts an emulator without pools on a free port of 127.0.0.1.
    ///
    /// Panics with its log when that cannot be done.
    pub fn start() -> Self {
        let mut service = Service::new("moto", Signal::TERM, "TERM");
        let client = blocking::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client with a time limit can be built");
        for attempt in 1.. {
            let port = free_port();
            let mut command = Command::new(tool("python/moto/bin/moto_server"));
            command.current_dir(service.directory()).env("HOME", service.directory());
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            let ready = |_: &Child| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            match service.launch(&mut command, ready) {
                Ok(()) => return Self { service, access: Access { client, port } },
                Err(_) if attempt < ATTEMPTS && service.log().contains("in use") => {}
                Err(reason) => service.give_up(&reason),
            }
        }
        unreachable!("the last attempt gives up")
    }

    /// Where its API is, in place of Amazon's: `http://localhost:PORT`.
    pub fn endpoint(&self) -> String {
        self.access.endpoint()
    }

    /// A new pool without people.
    #[track_caller]
    pub fn pool(&self) -> Pool {
        let answer = self.access.ask("CreateUserPool", &json!({ "PoolName": random_word() }));
        Pool { access: self.access.clone(), id: text(&answer["UserPool"]["Id"]) }
    }

    /// What it has logged: a line for each request.
    pub fn log(&self) -> String {
        self.service.log()
    }
}

impl Access {
    fn endpoint(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// One operation, whatever comes of it.
    fn call(&self, operation: &str, input: &Value) -> Answer {
        let url = format!("http://127.0.0.1:{}/", self.port);
        let response = self
            .client
            .post(url)
            .header("X-Amz-Target", format!("{SERVICE}.{operation}"))
            .header("Content-Type", "application/x-amz-json-1.1")
            // An administrator's operations are signed; which key it was is not looked at, the region is.
            .header(
                "Authorization",
                format!("AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/cognito-idp/x"),
            )
            .body(input.to_string())
            .send()
            .unwrap_or_else(|error| panic!("moto does not answer: {error}"));
        Answer {
            status: response.status().as_u16(),
            reason: None,
            headers: response.headers().clone(),
            body: response.bytes().expect("an answer has a body").to_vec(),
            request: format!("{operation} {input}"),
        }
    }

    /// One operation that has to work.
    #[track_caller]
    fn ask(&self, operation: &str, input: &Value) -> Value {
        let answer = self.call(operation, input).expect(&[200]);
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }
}

/// A pool of people.
#[derive(Clone, Debug)]
pub struct Pool {
    access: Access,
    id: String,
}

impl Pool {
    /// Its name, with the region in it: `us-east-1_…`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What its tokens have as `iss`: a place at Amazon, which tests do not reach.
    pub fn issuer(&self) -> String {
        format!("https://cognito-idp.{REGION}.amazonaws.com/{}", self.id)
    }

    /// Where its keys are.
    pub fn keys_url(&self) -> String {
        format!("{}/{}/.well-known/jwks.json", self.access.endpoint(), self.id)
    }

    /// A new client that may ask for tokens with a password.
    #[track_caller]
    pub fn client(&self, has_secret: bool) -> Client {
        let input = json!({
            "UserPoolId": self.id,
            "ClientName": random_word(),
            "GenerateSecret": has_secret,
            "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            "PreventUserExistenceErrors": "ENABLED",
        });
        let answer = self.access.ask("CreateUserPoolClient", &input);
        let client = &answer["UserPoolClient"];
        Client {
            access: self.access.clone(),
            id: text(&client["ClientId"]),
            secret: has_secret.then(|| text(&client["ClientSecret"])),
        }
    }

    /// Somebody with a password of their own; further attributes are pairs such as `("email", "…")`.
    #[track_caller]
    pub fn put_user(&self, username: &str, password: &str, attributes: &[(&str, &str)]) {
        self.invite_user(username, password, attributes);
        let input = json!({
            "UserPoolId": self.id, "Username": username, "Password": password, "Permanent": true,
        });
        self.access.ask("AdminSetUserPassword", &input);
    }

    /// Somebody who has to choose a password before anything else, and has this one until then.
    #[track_caller]
    pub fn invite_user(&self, username: &str, password: &str, attributes: &[(&str, &str)]) {
        let attributes: Vec<Value> =
            attributes.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
        let input = json!({
            "UserPoolId": self.id,
            "Username": username,
            "TemporaryPassword": password,
            "MessageAction": "SUPPRESS",
            "UserAttributes": attributes,
        });
        self.access.ask("AdminCreateUser", &input);
    }

    /// Refuses or lets in somebody from now on.
    #[track_caller]
    pub fn set_enabled(&self, username: &str, is_enabled: bool) {
        let operation = if is_enabled { "AdminEnableUser" } else { "AdminDisableUser" };
        self.access.ask(operation, &json!({ "UserPoolId": self.id, "Username": username }));
    }

    /// A new group.
    #[track_caller]
    pub fn put_group(&self, group: &str) {
        self.access.ask("CreateGroup", &json!({ "UserPoolId": self.id, "GroupName": group }));
    }

    /// Puts somebody into a group.
    #[track_caller]
    pub fn join(&self, username: &str, group: &str) {
        let input = json!({ "UserPoolId": self.id, "Username": username, "GroupName": group });
        self.access.ask("AdminAddUserToGroup", &input);
    }
}

/// A program that people of a pool sign in to.
#[derive(Clone, Debug)]
pub struct Client {
    access: Access,
    id: String,
    secret: Option<String>,
}

impl Client {
    /// Its name, which tokens have as `aud` or `client_id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its secret.
    pub fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    /// What a client with a secret sends along with a user name (Amazon Cognito, "Computing secret hash
    /// values"); nothing for a client without.
    pub fn secret_hash(&self, username: &str) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_ref()?.as_bytes())
            .expect("HMAC takes keys of any length");
        mac.update(username.as_bytes());
        mac.update(self.id.as_bytes());
        Some(STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// Whatever comes of asking for tokens with a password (`InitiateAuth`, `USER_PASSWORD_AUTH`).
    pub fn initiate(&self, username: &str, password: &str) -> Answer {
        let mut parameters = json!({ "USERNAME": username, "PASSWORD": password });
        if let Some(hash) = self.secret_hash(username) {
            parameters["SECRET_HASH"] = json!(hash);
        }
        let input = json!({
            "AuthFlow": "USER_PASSWORD_AUTH", "ClientId": self.id, "AuthParameters": parameters,
        });
        self.access.call("InitiateAuth", &input)
    }

    /// The tokens of somebody who has to get them.
    #[track_caller]
    pub fn sign_in(&self, username: &str, password: &str) -> Tokens {
        let answer = self.initiate(username, password).expect(&[200]).json();
        let result = &answer["AuthenticationResult"];
        Tokens {
            id: text(&result["IdToken"]),
            access: text(&result["AccessToken"]),
            refresh: text(&result["RefreshToken"]),
        }
    }
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("moto answers with text here, not with {value}")).to_owned()
}
