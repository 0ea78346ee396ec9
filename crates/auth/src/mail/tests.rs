use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::testing::{settings, setup, setup_with, with_mail};

fn settings_for(url: &str, from: &str) -> MailSettings {
    MailSettings {
        url: SecretString::from(url),
        from: from.to_owned(),
        public_url: "https://registry.example.org/".to_owned(),
    }
}

#[tokio::test]
async fn unusable_settings_are_refused_without_repeating_the_password() {
    for (url, from) in [
        ("", "larder@example.org"),
        ("mail.example.org", "larder@example.org"),
        ("http://user:canary@mail.example.org", "larder@example.org"),
        ("smtps://user:canary@mail.example.org", "nobody"),
        ("smtps://user:canary@mail.example.org", "a@example.org\r\nBcc: b@example.org"),
    ] {
        let error = Mailer::new(&settings_for(url, from)).err().expect("refused");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    for url in ["smtps://user:canary@mail.example.org", "smtp://mail.example.org:2525", "smtp://localhost"] {
        Mailer::new(&settings_for(url, "Larder <larder@example.org>")).unwrap();
    }
}

#[tokio::test]
async fn without_mail_nothing_is_sent_and_the_caller_knows() {
    let setup = setup().await;
    assert!(!setup.auth.mail_is_on());
    assert!(setup.auth.mail_link("/x").is_none());
    let answer = setup.auth.mail_send("a@example.com", "subject", "text");
    assert!(matches!(answer, Err(AccountError::NotConfigured(_))));
}

#[tokio::test]
async fn t35_a_letter_takes_no_further_header_or_recipient() {
    let setup = setup_with(with_mail(settings())).await;
    for to in ["", "nobody", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com", "<a@b.c>"]
    {
        assert!(setup.auth.mail_send(to, "subject", "text").is_err(), "{to}");
    }
    setup.auth.mail_send("a@example.com", "hello\r\nBcc: b@example.com", "text").unwrap();
    let letters = setup.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].subject, "helloBcc: b@example.com");
    assert_eq!(setup.auth.mail_link("/verify").unwrap(), "https://registry.example.org/verify");
}

/// Takes one letter as a mail server does (RFC 5321), and returns what came.
async fn take_one(listener: TcpListener) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut taken = String::new();
    write.write_all(b"220 ready\r\n").await.unwrap();
    let mut is_data = false;
    while let Some(line) = lines.next_line().await.unwrap() {
        taken.push_str(&line);
        taken.push('\n');
        let answer: &[u8] = match line.as_str() {
            "." if is_data => {
                write.write_all(b"250 taken\r\n").await.unwrap();
                return taken;
            }
            _ if is_data => continue,
            "DATA" => {
                is_data = true;
                b"354 go on\r\n"
            }
            _ => b"250 fine\r\n",
        };
        write.write_all(answer).await.unwrap();
    }
    taken
}

#[tokio::test]
async fn a_letter_reaches_a_mail_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let mut settings = settings();
    settings.mail = Some(settings_for(&url, "Larder <larder@example.org>"));
    let setup = setup_with(settings).await;
    setup.auth.mail_send("alice@example.com", "Grüße", "open\n\nhttps://x/?a=b\n").unwrap();
    let taken = tokio::time::timeout(Duration::from_secs(10), take_one(listener)).await.unwrap();
    assert!(taken.contains("RCPT TO:<alice@example.com>"), "{taken}");
    assert!(taken.contains("From: Larder <larder@example.org>") || taken.contains("larder@example.org"));
    assert!(taken.contains("Subject: =?utf-8?"), "{taken}");
}
