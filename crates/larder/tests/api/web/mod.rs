//! The pages for people, asked as a browser asks. The numbers in some tests' names are those of the project's list
//! of threats.
//!
//! How often one address may ask is limited, so the tests here have servers of their own.

mod account;
mod escaping;
mod forgery;
mod headers;
mod links;
mod redirects;

use testkit::{Answer, Api};

use crate::scene::Calls as _;

/// A browser without script: it keeps cookies, follows links and sends forms.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    server: Api,
    cookies: Vec<(String, String)>,
}

impl Visitor {
    /// One that was never here.
    pub(crate) fn new(server: &Api) -> Self {
        Self { server: server.as_nobody(), cookies: Vec::new() }
    }

    /// One in which this user, who has a password, signed in.
    #[track_caller]
    pub(crate) fn signed_in(user: &Api) -> Self {
        let mut visitor = Self::new(user);
        let answer = visitor.sign_in(user.username(), user.password(), &[]).expect(&[303]);
        assert_eq!(answer.header("location"), Some("/account"), "{answer}");
        visitor
    }

    /// Sends the form of the sign-in page with these fields on top.
    #[track_caller]
    pub(crate) fn sign_in(&mut self, username: &str, password: &str, more: &[(&str, &str)]) -> Answer {
        let fields = [&[("username", username), ("password", password)], more].concat();
        self.post("/sign-in", &fields)
    }

    /// Looks at a page.
    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        let answer = self.ask("GET", path, &[("accept", "text/html,*/*;q=0.8")], "");
        self.keep(&answer);
        answer
    }

    /// Sends a form of ours.
    #[track_caller]
    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = self.server.url().to_owned();
        let answer = self.post_from(path, &[("origin", &origin)], fields);
        self.keep(&answer);
        answer
    }

    /// Sends a form of this session: one that holds its word.
    #[track_caller]
    pub(crate) fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf();
        self.post(path, &[&[("csrf", csrf.as_str())], fields].concat())
    }

    /// The word of this session, as its pages hold it.
    #[track_caller]
    pub(crate) fn csrf(&mut self) -> String {
        let page = self.get("/account").expect(&[200]);
        hidden(&page, "csrf")
    }

    /// Sends a form with these header fields, and forgets what the answer sets.
    #[track_caller]
    pub(crate) fn post_from(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers = [headers, &[kind, ("accept", "text/html")]].concat();
        self.ask("POST", path, &headers, &fields.join("&"))
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        self.server.call(method, path, &headers, body.to_owned())
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
    }

    /// The secret of the session.
    #[track_caller]
    pub(crate) fn cookie(&self) -> &str {
        let found = self.cookies.iter().find(|(name, _)| name == "larder");
        found.map(|(_, value)| value.as_str()).expect("the browser has a session")
    }

    /// Whether somebody is signed in.
    pub(crate) fn is_signed_in(&self) -> bool {
        self.ask("GET", "/account", &[("accept", "text/html")], "").status == 200
    }
}

/// The text of a page.
pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).expect("a page is UTF-8")
}

/// The value of the first hidden field of this name.
#[track_caller]
pub(crate) fn hidden(answer: &Answer, name: &str) -> String {
    between(answer, &format!("name=\"{name}\" value=\""), "\"")
}

/// What stands between two texts of a page.
#[track_caller]
pub(crate) fn between(answer: &Answer, start: &str, end: &str) -> String {
    let page = text(answer);
    let rest = page.split_once(start).unwrap_or_else(|| panic!("no {start} in {answer}")).1;
    let value = rest.split_once(end).unwrap_or_else(|| panic!("no {end} after {start} in {answer}")).0;
    value.replace("&amp;", "&").replace("&#x2F;", "/").replace("&quot;", "\"").replace("&#x27;", "'")
}

/// Every byte that is no letter as an escape.
pub(crate) fn encode(text: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") }
    };
    text.bytes().map(escape).collect()
}
