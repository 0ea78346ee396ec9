//! What an object store says when it refuses.

use std::fmt::Write as _;
use std::io;

use object_store::Error;

use super::settings::Settings;

/// What was attempted at the bucket when it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Write,
    Read,
    List,
    Delete,
}

impl Step {
    fn permission(self) -> &'static str {
        match self {
            Self::Write => "writing objects (s3:PutObject)",
            Self::Read => "reading objects (s3:GetObject)",
            Self::List => "listing objects (s3:ListBucket)",
            Self::Delete => "deleting objects (s3:DeleteObject)",
        }
    }
}

/// The error as the rest of the program knows errors, in one line.
pub(super) fn io_error(error: &Error) -> io::Error {
    let code = code_of(error);
    let kind = match (error, code.as_deref()) {
        (Error::NotFound { .. }, _) => io::ErrorKind::NotFound,
        (Error::AlreadyExists { .. } | Error::Precondition { .. }, _) => io::ErrorKind::AlreadyExists,
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, _) => {
            io::ErrorKind::PermissionDenied
        }
        (_, Some("QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded")) => {
            io::ErrorKind::QuotaExceeded
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, said(error))
}

/// What the store said, without the document around it.
fn said(error: &Error) -> String {
    let text = error.to_string();
    match (element(&text, "Code"), element(&text, "Message")) {
        (Some(code), Some(message)) => format!("the object store answered {code}: {message}"),
        (Some(code), None) => format!("the object store answered {code}"),
        _ => {
            let mut line = String::from("the object store could not be asked: ");
            let short = text.lines().next().unwrap_or_default().chars().take(300).collect::<String>();
            let _ = write!(line, "{short}");
            line
        }
    }
}

/// The store's own word for what is wrong, as in `NoSuchUpload`.
pub(super) fn code_of(error: &Error) -> Option<String> {
    element(&error.to_string(), "Code").map(str::to_owned)
}

fn element<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
}

/// One line that says which setting is wrong.
pub(super) fn explain(settings: &Settings, step: Step, error: &Error) -> String {
    let (text, place) = (error.to_string(), settings.place());
    let permission = step.permission();
    match code_of(error).as_deref() {
        Some("NoSuchBucket") => format!(
            "the bucket {} of {place} does not exist; create it, or correct the name in storage.url",
            settings.bucket
        ),
        Some("InvalidAccessKeyId") => format!(
            "the object store of {place} does not know the access key; check AWS_ACCESS_KEY_ID or the profile"
        ),
        Some("SignatureDoesNotMatch") => format!(
            "the object store of {place} knows the access key but not this secret; check AWS_SECRET_ACCESS_KEY or \
             the profile"
        ),
        Some("ExpiredToken" | "InvalidToken") => format!(
            "the object store of {place} does not take the session token; check AWS_SESSION_TOKEN, or sign in anew"
        ),
        Some("RequestTimeTooSkewed" | "RequestExpired") => format!(
            "the clock of this machine and that of the object store of {place} differ{}; set the clock",
            skew(&text)
        ),
        Some("AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException") => {
            format!("the bucket {} is in another region; set ?region=… in storage.url", settings.bucket)
        }
        Some("AccessDenied" | "AllAccessDisabled" | "AccessControlListNotSupported") => {
            format!(
                "these credentials do not allow {permission} in {place}; grant that in the bucket's policy"
            )
        }
        _ => match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                format!(
                    "these credentials do not allow {permission} in {place}; grant that, or check the credentials"
                )
            }
            Error::NotFound { .. } => format!(
                "the bucket {} of {place} was not found; create it, or correct the name in storage.url",
                settings.bucket
            ),
            _ => without_code(settings, &text),
        },
    }
}

/// The line for a store that did not answer in its own words.
fn without_code(settings: &Settings, text: &str) -> String {
    let place = settings.place();
    if text.contains("169.254.16") || text.contains("169.254.17") || text.contains("metadata.google") {
        return format!(
            "no credentials for {place} were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or \
             give the machine a role"
        );
    }
    if text.contains("without LOCATION") || text.contains("301 Moved") {
        return format!("the bucket {} is in another region; set ?region=… in storage.url", settings.bucket);
    }
    let unreachable = ["error sending request", "connect", "timed out", "dns error"];
    if unreachable.iter().any(|sign| text.to_ascii_lowercase().contains(sign)) {
        return unreachable_line(settings);
    }
    let line = text.lines().next().unwrap_or_default().chars().take(300).collect::<String>();
    format!("the object store of {place} cannot be used: {line}; check storage.url")
}

/// The line for a store that did not answer at all.
pub(super) fn unreachable_line(settings: &Settings) -> String {
    let server = match &settings.endpoint {
        Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
        None => "its usual address".to_owned(),
    };
    format!(
        "the object store of {} does not answer at {server}; check the endpoint in storage.url and the network",
        settings.place()
    )
}

/// By how much the clocks differ, if the store says it.
fn skew(text: &str) -> String {
    let time = |name: &str| element(text, name).and_then(|text| text.parse::<jiff::Timestamp>().ok());
    match (time("RequestTime"), time("ServerTime")) {
        (Some(ours), Some(theirs)) => {
            let seconds = ours.as_second() - theirs.as_second();
            let direction = if seconds < 0 { "behind" } else { "ahead" };
            format!(": this one is {} minutes {direction}", seconds.unsigned_abs().div_ceil(60))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    fn line(text: &str) -> String {
        let settings = Settings::parse("s3://images/x?endpoint=http://127.0.0.1:9").unwrap();
        explain(&settings, Step::Delete, &generic(text))
    }

    #[test]
    fn each_refusal_becomes_one_line_that_names_the_setting() {
        for (text, named) in [
            ("<Error><Code>NoSuchBucket</Code></Error>", "bucket images"),
            ("<Error><Code>InvalidAccessKeyId</Code></Error>", "AWS_ACCESS_KEY_ID"),
            ("<Error><Code>SignatureDoesNotMatch</Code></Error>", "AWS_SECRET_ACCESS_KEY"),
            ("<Error><Code>AccessDenied</Code></Error>", "s3:DeleteObject"),
            ("<Error><Code>AuthorizationHeaderMalformed</Code></Error>", "?region="),
            ("error sending request for url", "http://127.0.0.1:9"),
            ("error requesting http://169.254.169.254/latest/api/token", "no credentials"),
            ("what\nis this", "cannot be used: Generic S3 error: what"),
        ] {
            let line = line(text);
            assert!(line.contains(named), "{text}: {line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_wrong_clock_is_told_by_how_much() {
        let text = "<Error><Code>RequestTimeTooSkewed</Code><RequestTime>20261121T180000Z</RequestTime>\
            <ServerTime>2026-11-21T18:20:30Z</ServerTime></Error>";
        assert!(line(text).contains("this one is 21 minutes behind"), "{}", line(text));
    }

    #[test]
    fn a_quota_is_no_room() {
        let error = io_error(&generic("<Code>QuotaExceeded</Code><Message>no more</Message>"));
        assert!(crate::blocking::is_full(&error));
        assert_eq!(error.to_string(), "the object store answered QuotaExceeded: no more");
    }
}
