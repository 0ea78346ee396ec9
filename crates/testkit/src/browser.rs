//! A real browser, Debian's Chromium, driven over the protocol that browsers have for it (W3C WebDriver).
//!
//! It starts without a window and with a profile of its own that is thrown away, it accepts certificates that
//! nobody has signed, and it resolves no name but `localhost`.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::blocking::Client;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::port::free_port;
use crate::service::Service;
use crate::tool;

/// How many ports are tried before giving up: somebody else may take the one that was just found free.
const ATTEMPTS: usize = 5;

/// How long the browser may take for one thing, its start included.
const LIMIT: Duration = Duration::from_mins(1);

/// How long something may take to appear on a page.
const APPEARS_WITHIN: Duration = Duration::from_secs(10);

/// How often a waiting test looks again.
const PAUSE: Duration = Duration::from_millis(50);

/// What the protocol calls the identifier of an element (WebDriver, 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What Chromium is started with.
const ARGUMENTS: &[&str] = &[
    "--headless=new",
    // Tests run as root in places, and there its sandbox does not work.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
    // A pipe and not a port: when the driver is gone, however it went, the browser goes too.
    "--remote-debugging-pipe",
    "--lang=en",
    "--window-size=1280,1000",
];

/// A running browser with one window. It ends when this is dropped, and when the test process ends in whatever
/// way.
///
/// Methods that name an element do it with a CSS selector, wait up to ten seconds for it, and panic when it does
/// not come. A test that fails prints what the page shows.
#[derive(Debug)]
pub struct Browser {
    service: Service,
    client: Client,
    /// Where its session is at the driver.
    session: String,
}

/// A cookie that the browser has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Which paths it is sent to.
    pub path: String,
    /// Which host it is sent to.
    pub domain: String,
    /// Whether scripts cannot read it.
    pub is_http_only: bool,
    /// Whether it is sent over TLS alone.
    pub is_secure: bool,
    /// `Strict`, `Lax` or `None`.
    pub same_site: String,
    /// When it is forgotten, in seconds since 1970; nothing when the browser's end is.
    pub expires: Option<u64>,
}

/// Why something was not done: the protocol's word for it, and more.
#[derive(Debug)]
struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    /// Whether it may be done later, when the page has got there.
    fn is_early(&self) -> bool {
        let early = ["no such element", "stale element reference", "element not interactable"];
        early.contains(&self.code.as_str())
    }
}

impl Browser {
    /// Starts a browser that shows an empty page.
    ///
    /// Panics with the driver's log when that cannot be done.
    pub fn start() -> Self {
        let service = Service::new("chromedriver", Signal::TERM, "TERM");
        let client = Client::builder()
            .no_proxy()
            .timeout(LIMIT)
            .build()
            .expect("a client with a time limit can be built");
        let mut browser = Self { service, client, session: String::new() };
        let driver = browser.start_driver();
        let arguments: Vec<String> = ARGUMENTS
            .iter()
            .map(|argument| (*argument).to_owned())
            .chain([format!("--user-data-dir={}", browser.service.directory().join("profile").display())])
            .collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            // A dialog that no test expects fails what comes next, instead of holding it up.
            "unhandledPromptBehavior": "dismiss and notify",
            "timeouts": { "pageLoad": 30_000, "script": 10_000 },
            "goog:chromeOptions": {
                "binary": tool("chromium"),
                "args": arguments,
                "prefs": { "credentials_enable_service": false, "profile.password_manager_leak_detection": false },
            },
        }}});
        browser.session = format!("{driver}/session");
        match browser.call(&Method::POST, "", Some(&wanted)) {
            Ok(session) => {
                let id = session["sessionId"].as_str().unwrap_or_default();
                browser.session = format!("{driver}/session/{id}");
            }
            Err(Refusal { code, message }) => browser.service.give_up(&format!("{code}: {message}")),
        }
        browser
    }

    /// Starts the driver and returns its URL.
    fn start_driver(&mut self) -> String {
        for attempt in 1.. {
            let port = free_port();
            let url = format!("http://127.0.0.1:{port}");
            let mut command = Command::new(tool("chromedriver"));
            let directory = self.service.directory().to_owned();
            command.arg(format!("--port={port}")).current_dir(&directory);
            // Everything that the browser leaves behind lies where it is removed.
            for name in ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"] {
                command.env(name, &directory);
            }
            let (client, status) = (self.client.clone(), format!("{url}/status"));
            let ready =
                move |_: &Child| client.get(&status).send().is_ok_and(|answer| answer.status().is_success());
            match self.service.launch(&mut command, ready) {
                Ok(()) => return url,
                Err(_) if attempt < ATTEMPTS && self.service.log().contains("in use") => {}
                Err(reason) => self.service.give_up(&reason),
            }
        }
        unreachable!("the last attempt gives up")
    }

    /// Goes to `url` and waits until the page has loaded.
    #[track_caller]
    pub fn go_to(&self, url: &str) {
        self.ask(&Method::POST, "/url", Some(&json!({ "url": url })));
    }

    /// Where it is.
    #[track_caller]
    pub fn url(&self) -> String {
        self.ask_text("/url")
    }

    /// The page's title.
    #[track_caller]
    pub fn title(&self) -> String {
        self.ask_text("/title")
    }

    /// The page as it is now, as HTML.
    #[track_caller]
    pub fn source(&self) -> String {
        self.ask_text("/source")
    }

    /// Loads the page again.
    #[track_caller]
    pub fn reload(&self) {
        self.ask(&Method::POST, "/refresh", Some(&json!({})));
    }

    /// Goes where it was before.
    #[track_caller]
    pub fn back(&self) {
        self.ask(&Method::POST, "/back", Some(&json!({})));
    }

    /// Whether the page has such an element now.
    #[track_caller]
    pub fn has(&self, css: &str) -> bool {
        self.count(css) > 0
    }

    /// How many such elements the page has now.
    #[track_caller]
    pub fn count(&self, css: &str) -> usize {
        let found = self.ask(&Method::POST, "/elements", Some(&by_css(css)));
        found.as_array().map_or(0, Vec::len)
    }

    /// Waits for the element.
    #[track_caller]
    pub fn wait_for(&self, css: &str) {
        self.wait_until(&format!("there is {css}"), |browser| browser.has(css));
    }

    /// Waits until `is_so`, and panics with what it was when it never is.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + APPEARS_WITHIN;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "this did not happen: {what}");
            std::thread::sleep(PAUSE);
        }
    }

    /// The text of the element as a person reads it.
    #[track_caller]
    pub fn text(&self, css: &str) -> String {
        let text = self.act(css, |element| self.call(&Method::GET, &format!("{element}/text"), None));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// An attribute of the element, as the page's source has it.
    #[track_caller]
    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let value =
            self.act(css, |element| self.call(&Method::GET, &format!("{element}/attribute/{name}"), None));
        value.as_str().map(str::to_owned)
    }

    /// Clicks the element, and waits for the page that this leads to.
    #[track_caller]
    pub fn click(&self, css: &str) {
        self.act(css, |element| self.call(&Method::POST, &format!("{element}/click"), Some(&json!({}))));
    }

    /// Types `text` into the field, in place of what is there.
    #[track_caller]
    pub fn type_into(&self, css: &str, text: &str) {
        self.act(css, |element| {
            self.call(&Method::POST, &format!("{element}/clear"), Some(&json!({})))?;
            self.call(&Method::POST, &format!("{element}/value"), Some(&json!({ "text": text })))
        });
    }

    /// The cookies that the browser would send to this page.
    #[track_caller]
    pub fn cookies(&self) -> Vec<Cookie> {
        let cookies = self.ask(&Method::GET, "/cookie", None);
        cookies.as_array().into_iter().flatten().map(cookie).collect()
    }

    /// The cookie of this name.
    #[track_caller]
    pub fn cookie(&self, name: &str) -> Option<Cookie> {
        self.cookies().into_iter().find(|cookie| cookie.name == name)
    }

    /// Has a cookie from now on, at the host of this page, for all of its paths.
    #[track_caller]
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.ask(&Method::POST, "/cookie", Some(&json!({ "cookie": { "name": name, "value": value } })));
    }

    /// Forgets the cookies of this page's host.
    #[track_caller]
    pub fn forget_cookies(&self) {
        self.ask(&Method::DELETE, "/cookie", None);
    }

    /// Runs a script as a page's own and returns what it returns, as `return document.cookie`. What it waits
    /// for is waited for.
    #[track_caller]
    pub fn run_script(&self, script: &str) -> Value {
        self.ask(&Method::POST, "/execute/sync", Some(&json!({ "script": script, "args": [] })))
    }

    /// What the window shows, as a PNG file.
    #[track_caller]
    pub fn screenshot(&self) -> Vec<u8> {
        STANDARD.decode(self.ask_text("/screenshot")).expect("a screenshot comes as base64")
    }

    /// What a failed test's reader wants to know.
    fn describe(&self) -> String {
        let value = |answer: Result<Value, Refusal>| match answer {
            Ok(value) => value.as_str().unwrap_or_default().to_owned(),
            Err(Refusal { code, message }) => format!("({code}: {message})"),
        };
        let url = value(self.call(&Method::GET, "/url", None));
        let source = value(self.call(&Method::GET, "/source", None));
        format!("the browser is at {url}\n--- the page\n{source}")
    }

    /// Does something with an element as soon as it is there and lets it be done.
    #[track_caller]
    fn act(&self, css: &str, mut act: impl FnMut(&str) -> Result<Value, Refusal>) -> Value {
        let deadline = Instant::now() + APPEARS_WITHIN;
        loop {
            let found = self.call(&Method::POST, "/element", Some(&by_css(css)));
            let done = found
                .and_then(|found| act(&format!("/element/{}", found[ELEMENT].as_str().unwrap_or_default())));
            match done {
                Ok(value) => return value,
                Err(refusal) if refusal.is_early() && Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(Refusal { code, message }) => panic!("{css}: {code}: {message}"),
            }
        }
    }

    /// One command that has to work.
    #[track_caller]
    fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> Value {
        match self.call(method, path, body) {
            Ok(value) => value,
            Err(Refusal { code, message }) => panic!("{method} {path}: {code}: {message}"),
        }
    }

    #[track_caller]
    fn ask_text(&self, path: &str) -> String {
        self.ask(&Method::GET, path, None).as_str().unwrap_or_default().to_owned()
    }

    /// One command (WebDriver, 6.3).
    fn call(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Value, Refusal> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.session));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().and_then(|response| {
            let is_done = response.status().is_success();
            Ok((is_done, response.json::<Value>()?))
        });
        let refusal =
            |code: &str, message: &str| Refusal { code: code.to_owned(), message: message.to_owned() };
        match answer {
            Ok((true, mut answer)) => Ok(answer["value"].take()),
            Ok((false, answer)) => {
                let part = |name: &str| answer["value"][name].as_str().unwrap_or_default();
                Err(refusal(part("error"), part("message")))
            }
            Err(error) => Err(refusal("no answer from the driver", &error.to_string())),
        }
    }
}

fn by_css(css: &str) -> Value {
    json!({ "using": "css selector", "value": css })
}

fn cookie(value: &Value) -> Cookie {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Cookie {
        name: text("name"),
        value: text("value"),
        path: text("path"),
        domain: text("domain"),
        is_http_only: value["httpOnly"].as_bool().unwrap_or_default(),
        is_secure: value["secure"].as_bool().unwrap_or_default(),
        same_site: text("sameSite"),
        expires: value["expiry"].as_u64(),
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.describe());
        }
        // The driver may be gone already, and the browser with it.
        let _ = self.call(&Method::DELETE, "", None);
    }
}
