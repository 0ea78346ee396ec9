use std::process::Command;

use serde_json::json;
use testkit::{Background, Browser, Sandbox, free_port, tool};

/// Pages with a form, over TLS with a certificate that nobody knows.
const PAGES: &str = r#"
import html, http.server, ssl, sys, urllib.parse

class Pages(http.server.BaseHTTPRequestHandler):
    def answer(self, body, *cookies):
        data = f"<!DOCTYPE html><title>A page</title>{body}".encode()
        self.send_response(200)
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer('<form method="post" action="/greet"><input name="who" value="nobody"><button>Go</button></form>')

    def do_POST(self):
        fields = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        who = html.escape(fields["who"][0])
        self.answer(f'<p id="greeting" class="a  b">Hello,   {who}</p>',
                    "__Host-seen=yes; Secure; HttpOnly; Path=/; SameSite=Lax", "plain=1")

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Pages)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"#;

#[test]
fn a_browser_fills_forms_keeps_cookies_and_trusts_the_tests() {
    let certified =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate is made");
    let sandbox = Sandbox::new();
    let certificate = sandbox.write("certificate.pem", certified.cert.pem());
    let key = sandbox.write("key.pem", certified.signing_key.serialize_pem());
    let port = free_port();
    let mut command = Command::new(tool("python/aiosmtpd/bin/python"));
    let mut pages = Background::start(command.args(["-c", PAGES, &port.to_string(), &certificate, &key]));
    pages.until(|pages| pages.stdout().contains("ready"));

    let browser = Browser::start();
    browser.go_to(&format!("https://localhost:{port}/"));
    assert_eq!(browser.title(), "A page");
    assert!(browser.cookies().is_empty() && !browser.has("#greeting"));
    assert_eq!(browser.attribute("input", "value").as_deref(), Some("nobody"));
    browser.type_into("input[name=who]", "Ada <b> & co");
    browser.click("button");
    assert_eq!(browser.text("#greeting"), "Hello, Ada <b> & co");
    assert_eq!(browser.url(), format!("https://localhost:{port}/greet"));

    let cookie = browser.cookie("__Host-seen").expect("the cookie was set");
    assert_eq!((cookie.value.as_str(), cookie.path.as_str(), cookie.same_site.as_str()), ("yes", "/", "Lax"));
    assert!(cookie.is_http_only && cookie.is_secure && cookie.expires.is_none());
    assert_eq!(browser.run_script("return document.cookie"), json!("plain=1"), "scripts see what they may");
    browser.set_cookie("more", "2");
    assert_eq!(browser.cookies().len(), 3);
    browser.forget_cookies();
    assert!(browser.cookies().is_empty());
    browser.back();
    browser.wait_for("form");
    assert!(browser.screenshot().starts_with(b"\x89PNG"));
}

#[test]
#[should_panic(expected = "ERR_NAME_NOT_RESOLVED")]
fn a_browser_goes_nowhere_but_to_this_machine() {
    Browser::start().go_to("http://registry.example/");
}
