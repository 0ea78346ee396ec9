//! What the tests share: a server that people reach under a name of its own, browsers that go from there to a
//! provider and back, and a company whose people sign in with the certified provider.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use testkit::oidc::{self, OidcProvider, User};
use testkit::{Answer, Api, Method, Options, Server, Visibility, random_word};
use url::Url;
use url::form_urlencoded::Serializer;

/// Under which address people know the server. Providers are told it beforehand.
pub(crate) const PUBLIC_URL: &str = "http://registry.example.org";

/// Where the provider `company` sends people back to.
pub(crate) const CALLBACK: &str = "http://registry.example.org/api/v1/auth/providers/company/callback";

/// How far a browser goes before it gives up.
const STEPS: usize = 20;

/// A server with the provider `company`: keys of its section, such as `("issuer", "https://…")`, and other
/// variables, which begin with `LARDER_`.
pub(crate) fn server(variables: &[(&str, &str)]) -> Server {
    let options = Options::new(env!("CARGO_BIN_EXE_larder"))
        .env("LARDER_STORAGE__DURABILITY", "relaxed")
        .env("LARDER_SERVER__PUBLIC_URL", PUBLIC_URL);
    Server::start(variables.iter().fold(options, |options, (key, value)| {
        if key.starts_with("LARDER_") {
            options.env(key, value)
        } else {
            options.env(&format!("LARDER_AUTH__PROVIDERS__COMPANY__{}", key.to_uppercase()), value)
        }
    }))
}

/// Calls the management API; `path` starts behind `/api/v1`.
#[track_caller]
pub(crate) fn manage(caller: &Api, method: Method, path: &str, body: &Value) -> Answer {
    let request = caller.request(method, &format!("/api/v1{path}"));
    caller.send(if body.is_null() { request } else { request.json(body) })
}

/// The names of all people, but for the administrator.
#[track_caller]
pub(crate) fn usernames(server: &Server) -> Vec<String> {
    let list = manage(&server.api(), Method::GET, "/users", &Value::Null).expect(&[200]).json();
    let items = list["items"].as_array().expect("a list of users");
    let names = items.iter().map(|user| user["username"].as_str().expect("a name is text").to_owned());
    names.filter(|name| name != "admin").collect()
}

/// Lets somebody in again, or not.
#[track_caller]
pub(crate) fn disable(server: &Server, username: &str, is_disabled: bool) {
    let change = json!({ "disabled": is_disabled });
    manage(&server.api(), Method::PATCH, &format!("/users/{username}"), &change).expect(&[200]);
}

/// A new organization with the private registry `main`.
pub(crate) fn organization(server: &Server) -> String {
    let name = format!("org-{}", random_word());
    let admin = server.api();
    admin.organization_create(&name);
    admin.registry_create(&name, "main", Visibility::Private);
    name
}

/// Gives a group of the company a role in an organization, and returns where that is.
#[track_caller]
pub(crate) fn give(server: &Server, organization: &str, group: &str, role: &str) -> String {
    let path = format!("/organizations/{organization}/group-roles");
    let body = json!({ "provider": "company", "group": group, "role": role });
    let made = manage(&server.api(), Method::POST, &path, &body).expect(&[201]).json();
    format!("{path}/{}", made["id"].as_str().expect("an identifier is text"))
}

/// The status of an attempt to push to a repository of `main`.
#[track_caller]
pub(crate) fn push(caller: &Api, organization: &str) -> u16 {
    let request = caller.request(Method::POST, &format!("/v2/{organization}/main/app/blobs/uploads/"));
    let answer = caller.send(request);
    if let Some(location) = answer.header("location") {
        caller.send(caller.request(Method::DELETE, location)).expect(&[204]);
    }
    answer.status
}

/// What a browser was shown.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Where it is.
    pub(crate) url: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    /// Where it sends the browser, as a whole address.
    pub(crate) fn location(&self) -> Option<String> {
        let location = self.headers.get("location")?.to_str().expect("an address is text");
        let base = Url::parse(&self.url).expect("the browser is somewhere");
        Some(base.join(location).expect("an address leads somewhere").into())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// A parameter of an address.
#[track_caller]
pub(crate) fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).expect("an address");
    let value = url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
    value.unwrap_or_else(|| panic!("no {name} in {url}"))
}

/// The same address with another value of a parameter, or without it.
pub(crate) fn with_parameter(url: &str, name: &str, value: Option<&str>) -> String {
    let mut url = Url::parse(url).expect("an address");
    let kept: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(found, _)| found != name).collect();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(value.map(|value| (name, value)));
    url.into()
}

/// What a browser does: it keeps the cookies of each place and sends them back there, and goes where it is sent. It
/// runs no script, and neither does any page here.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    client: Client,
    /// Where the server's public address leads.
    server: String,
    /// Place, name and value.
    pub(crate) cookies: Vec<(String, String, String)>,
    csrf: Option<String>,
}

impl Browser {
    /// One that was never here.
    pub(crate) fn new(server: &Server) -> Self {
        let client = Client::builder().no_proxy().redirect(Policy::none()).build();
        let client = client.expect("a client that follows nothing can be built");
        Self { client, server: server.url(), cookies: Vec::new(), csrf: None }
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let place = match url.strip_prefix(PUBLIC_URL) {
            Some(path) => format!("{}{path}", self.server),
            None => url.to_owned(),
        };
        let origin = origin(url);
        let cookies = self.cookies.iter().filter(|(place, ..)| *place == origin);
        let cookies: Vec<String> = cookies.map(|(_, name, value)| format!("{name}={value}")).collect();
        let request = self.client.request(method, place);
        if cookies.is_empty() { request } else { request.header("cookie", cookies.join("; ")) }
    }

    #[track_caller]
    fn send(&mut self, url: &str, request: RequestBuilder) -> Page {
        let answer = request.send().unwrap_or_else(|error| panic!("no answer from {url}: {error}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let origin = origin(url);
        for cookie in headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("a cookie is text");
            let (name, rest) = cookie.split_once('=').expect("a cookie has a name");
            let value = rest.split(';').next().unwrap_or_default();
            self.cookies.retain(|(place, kept, _)| *place != origin || kept != name);
            if !value.is_empty() {
                self.cookies.push((origin.clone(), name.to_owned(), value.to_owned()));
            }
        }
        assert!(status != 500, "{url} failed");
        let body = answer.text().expect("a page is text");
        Page { url: url.to_owned(), status, headers, body }
    }

    /// Goes to an address, and not on from there.
    #[track_caller]
    pub(crate) fn get(&mut self, url: &str) -> Page {
        let request = self.request(Method::GET, url).header("accept", "text/html");
        self.send(url, request)
    }

    /// The same for a program that wants no page.
    #[track_caller]
    pub(crate) fn get_json(&mut self, url: &str) -> Page {
        let request = self.request(Method::GET, url);
        self.send(url, request)
    }

    /// Sends a form.
    #[track_caller]
    pub(crate) fn post(&mut self, url: &str, fields: &[(&str, &str)]) -> Page {
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .request(Method::POST, url)
            .header("accept", "text/html")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", origin(url))
            .body(form);
        self.send(url, request)
    }

    /// Calls the management API as a page of the server does; `path` starts behind `/api/v1`.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: Method, path: &str, body: &Value) -> Page {
        let url = format!("{PUBLIC_URL}/api/v1{path}");
        let mut request = self.request(method, &url).header("origin", PUBLIC_URL);
        if let Some(csrf) = &self.csrf {
            request = request.header("x-csrf-token", csrf);
        }
        let page = self.send(&url, if body.is_null() { request } else { request.json(body) });
        if page.status < 300
            && let Ok(body) = serde_json::from_str::<Value>(&page.body)
            && let Some(csrf) = body["csrf_token"].as_str()
        {
            self.csrf = Some(csrf.to_owned());
        }
        page
    }

    /// Who is signed in.
    #[track_caller]
    pub(crate) fn me(&mut self) -> Value {
        self.ask(Method::GET, "/me", &Value::Null).expect(200).json()
    }

    /// Whether somebody is.
    #[track_caller]
    pub(crate) fn is_signed_in(&mut self) -> bool {
        let page = self.ask(Method::GET, "/me", &Value::Null);
        assert!([200, 401].contains(&page.status), "{page:?}");
        page.status == 200
    }

    /// The word that pages of the session send along.
    #[track_caller]
    pub(crate) fn csrf(&mut self) -> String {
        self.me();
        self.csrf.clone().expect("the browser was told the word")
    }

    /// A personal token of whoever is signed in, and what a program does with it.
    #[track_caller]
    pub(crate) fn token(&mut self, server: &Server) -> Api {
        let me = self.me();
        let name = format!("laptop-{}", random_word());
        let made = self.ask(Method::POST, "/me/tokens", &json!({ "name": name })).expect(201).json();
        let username = me["username"].as_str().expect("a name is text");
        server.api().as_user(username, made["token"].as_str().expect("a token is text"))
    }

    /// Signs in with a password of the server's own.
    #[track_caller]
    pub(crate) fn sign_in_here(&mut self, username: &str, password: &str) -> Page {
        let body = json!({ "username": username, "password": password });
        self.ask(Method::POST, "/auth/sign-in", &body)
    }

    /// Sets out for the company's provider; `more` is added to the address. Where it is sent to.
    #[track_caller]
    pub(crate) fn set_out(&mut self, more: &str) -> String {
        let page = self.get(&format!("{PUBLIC_URL}/api/v1/auth/providers/company/start?{more}"));
        page.clone().expect(303).location().unwrap_or_else(|| panic!("it leads nowhere: {page:?}"))
    }

    /// Fills the provider's forms as this person until the browser is sent back, and returns where to.
    #[track_caller]
    pub(crate) fn at_provider(&mut self, url: &str, user: &User) -> String {
        let mut page = self.get(url);
        for _ in 0..STEPS {
            if let Some(next) = page.location() {
                if next.starts_with(PUBLIC_URL) {
                    return next;
                }
                page = self.get(&next);
            } else if page.body.contains("id=\"sign-in\"") && !page.body.contains("id=\"message\"") {
                let form = [("username", user.username()), ("password", user.password())];
                page = self.post(&format!("{}/login", page.url), &form);
            } else if page.body.contains("id=\"allow\"") {
                page = self.post(&format!("{}/allow", page.url), &[]);
            } else {
                panic!("the provider shows something else: {page:?}");
            }
        }
        panic!("the provider sends the browser around: {page:?}")
    }

    /// The whole way, and what the server says at its end.
    #[track_caller]
    pub(crate) fn sign_in(&mut self, user: &User) -> Page {
        let url = self.set_out("return_to=/account");
        let back = self.at_provider(&url, user);
        self.get(&back)
    }
}

/// The place that cookies belong to.
fn origin(url: &str) -> String {
    Url::parse(url).expect("an address").origin().ascii_serialization()
}

/// Asserts that a browser was let in and went on to this path.
#[track_caller]
pub(crate) fn expect_in(page: &Page, path: &str) {
    assert_eq!(page.status, 303, "{page:?}");
    assert_eq!(page.location(), Some(format!("{PUBLIC_URL}{path}")), "{page:?}");
}

/// Asserts that a browser was sent to the sign-in page with this word, and is nobody.
#[track_caller]
pub(crate) fn expect_out(browser: &mut Browser, page: &Page, word: &str) {
    expect_in(page, &format!("/sign-in?problem={word}"));
    assert!(!browser.is_signed_in(), "{page:?}");
}

/// A company with a provider of its own, where the server is known as `larder`.
pub(crate) struct Company {
    pub(crate) provider: OidcProvider,
    pub(crate) server: Server,
}

impl Company {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// One whose server has more variables.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        let mut provider = OidcProvider::start();
        let client = oidc::Client::confidential("larder", CALLBACK)
            .grant("password")
            .after_logout(&format!("{PUBLIC_URL}/sign-in"));
        provider.put_client(&client);
        let issuer = provider.issuer();
        let mut all = vec![
            ("issuer", issuer.as_str()),
            ("client_id", "larder"),
            ("client_secret", client.secret()),
            ("scopes", "openid,email,profile,groups"),
        ];
        all.extend(variables);
        Self { server: server(&all), provider }
    }

    /// Somebody who works there.
    pub(crate) fn person(&mut self, username: &str, groups: &[&str]) -> User {
        let user = User::new(username).email(&format!("{username}@example.com")).groups(groups);
        self.provider.put_user(&user);
        user
    }

    /// A new browser in which this person signed in.
    #[track_caller]
    pub(crate) fn signed_in(&self, user: &User) -> Browser {
        let mut browser = Browser::new(&self.server);
        let page = browser.sign_in(user);
        expect_in(&page, "/account");
        // As its first page would, it learns the session's word.
        browser.me();
        browser
    }

    /// Asserts how often the provider was asked for tokens.
    #[track_caller]
    pub(crate) fn expect_exchanges(&self, expected: usize) {
        let count = || self.provider.log().lines().filter(|line| line.starts_with("POST /token ")).count();
        // The provider writes it down when it has answered.
        let deadline = Instant::now() + Duration::from_secs(5);
        while count() < expected && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(count(), expected, "{}", self.provider.log());
    }

    /// A new browser in which this person tried to.
    #[track_caller]
    pub(crate) fn refused(&self, user: &User, word: &str) {
        let mut browser = Browser::new(&self.server);
        let page = browser.sign_in(user);
        expect_out(&mut browser, &page, word);
    }
}

/// How often something happened.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
