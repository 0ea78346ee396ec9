use std::process::Command;

use testkit::{MailServer, Output, run, tool};

/// Sends a message as programs do: with a subject and a text that are no ASCII, and with a body in two forms.
const SENDER: &str = r#"
import email.message, smtplib, sys
port, to, *login = sys.argv[1:]
message = email.message.EmailMessage()
message["From"] = "Larder <larder@example.com>"
message["To"] = to
message["Subject"] = "Grüße"
message.set_content("Grüß Gott,\n\nopen http://localhost:5000/verify?code=" + "x" * 80 + ".\nOr type 123456.\n")
message.add_alternative("<p>Grüß Gott</p>", subtype="html")
with smtplib.SMTP("localhost", int(port)) as server:
    if login:
        server.login(*login)
    server.send_message(message)
"#;

fn send(server: &MailServer, to: &str, login: &[&str]) -> Output {
    let mut command = Command::new(tool("python/aiosmtpd/bin/python"));
    run(command.args(["-c", SENDER, &server.port().to_string(), to]).args(login))
}

#[test]
fn mail_is_taken_and_read() {
    let mut server = MailServer::start();
    send(&server, "ada@example.com", &[]).success();
    send(&server, "grace@example.com", &[]).success();
    let message = server.wait_for("grace@example.com", 1);
    assert_eq!(message, server.messages()[1]);
    assert_eq!((message.from.as_str(), message.subject.as_str()), ("larder@example.com", "Grüße"));
    assert!(message.text.starts_with("Grüß Gott,\n"), "{message:#?}");
    assert_eq!(message.html, "<p>Grüß Gott</p>\n");
    assert_eq!(message.link(), format!("http://localhost:5000/verify?code={}", "x".repeat(80)));
    assert_eq!(message.code(), "123456");
    assert_eq!(message.header("from"), Some("Larder <larder@example.com>"));
    send(&server, "nobody@example.com", &[]).failure().says("there is no such mailbox");

    server.stop();
    send(&server, "ada@example.com", &[]).failure().says("refused");
    server.start_again();
    send(&server, "ada@example.com", &[]).success();
    assert_eq!((server.messages().len(), server.messages_to("ada@example.com").len()), (3, 2));
}

#[test]
fn mail_is_taken_from_whoever_has_the_password() {
    let server = MailServer::start_with_password();
    let (username, password) = server.credentials().expect("it has a password");
    send(&server, "ada@example.com", &[]).failure();
    send(&server, "ada@example.com", &[username, "guessed"]).failure().says("authentication");
    assert!(server.messages().is_empty());
    send(&server, "ada@example.com", &[username, password]).success();
    assert_eq!(server.messages().len(), 1);
}
