//! People and their browsers: signing in and out, sessions, passwords, second factors, and what an account that
//! is disabled still gets. The numbers in some tests' names are those of the project's list of threats.
//!
//! How often one address may ask is limited, so most tests here have a server of their own.

mod disabled;
mod forgery;
mod hidden;
mod injection;
mod known;
mod limits;
mod linking;
mod password;
mod return_path;
pub(crate) mod second_factor;
mod sessions;
mod sign_in;
mod sign_up;
mod stronger;
mod users;

use serde_json::{Value, json};
use testkit::{Answer, Api};

use crate::scene::Calls as _;

/// No body.
const NOTHING: Value = Value::Null;

/// What a browser does: it keeps the cookies that it is given and sends them back, and says from which page it
/// asks. Its pages send the session's word along.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    server: Api,
    cookies: Vec<(String, String)>,
    csrf: Option<String>,
}

impl Browser {
    /// One that was never here.
    pub(crate) fn new(server: &Api) -> Self {
        Self { server: server.as_nobody(), cookies: Vec::new(), csrf: None }
    }

    /// One in which this user, who has a password, signed in.
    #[track_caller]
    pub(crate) fn signed_in(user: &Api) -> Self {
        let mut browser = Self::new(user);
        browser.sign_in(user.username(), user.password()).expect(&[200]);
        browser
    }

    /// Tries a name and a password.
    #[track_caller]
    pub(crate) fn sign_in(&mut self, username: &str, password: &str) -> Answer {
        self.ask("POST", "/auth/sign-in", &json!({ "username": username, "password": password }))
    }

    /// Asks from a page of ours, with all that such a page sends along.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        let csrf = self.csrf.clone();
        let mut headers = vec![("origin", self.server.url().to_owned())];
        headers.extend(csrf.map(|csrf| ("x-csrf-token", csrf)));
        self.ask_with(method, path, &headers, body)
    }

    /// Asks with these header fields and the cookies; what the answer sets is kept.
    #[track_caller]
    pub(crate) fn ask_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &Value,
    ) -> Answer {
        let answer = self.ask_once(method, path, headers, body);
        self.keep(&answer);
        answer
    }

    /// The same, and forgets what the answer sets.
    #[track_caller]
    pub(crate) fn ask_once(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &Value,
    ) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut fields: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if !cookies.is_empty() {
            fields.push(("cookie", &cookies));
        }
        let mut text = Vec::new();
        if !body.is_null() {
            fields.push(("content-type", "application/json"));
            text = body.to_string().into_bytes();
        }
        self.server.call(method, &format!("/api/v1{path}"), &fields, text)
    }

    fn keep(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("a cookie is text");
            let (name, rest) = cookie.split_once('=').expect("a cookie has a name");
            let value = rest.split(';').next().unwrap_or_default();
            self.cookies.retain(|(kept, _)| kept != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        if !answer.body.is_empty()
            && let Ok(body) = serde_json::from_slice::<Value>(&answer.body)
            && let Some(csrf) = body["csrf_token"].as_str()
        {
            self.csrf = Some(csrf.to_owned());
        }
    }

    /// The secret of the session.
    #[track_caller]
    pub(crate) fn cookie(&self) -> &str {
        let found = self.cookies.iter().find(|(name, _)| name == "larder");
        found.map(|(_, value)| value.as_str()).expect("the browser has a session")
    }

    /// The same browser with another secret.
    pub(crate) fn with_cookie(&self, value: &str) -> Self {
        let cookies = vec![("larder".to_owned(), value.to_owned())];
        Self { cookies, ..self.clone() }
    }

    /// The word that pages of the session send along.
    #[track_caller]
    pub(crate) fn csrf(&self) -> &str {
        self.csrf.as_deref().expect("the browser was told the word")
    }

    /// Who is signed in.
    #[track_caller]
    pub(crate) fn me(&mut self) -> Value {
        self.ask("GET", "/me", &NOTHING).expect(&[200]).json()
    }

    /// Whether somebody is.
    pub(crate) fn is_signed_in(&self) -> bool {
        match self.ask_once("GET", "/me", &[], &NOTHING).status {
            200 => true,
            401 => false,
            other => panic!("neither signed in nor not: {other}"),
        }
    }
}
