use http_body_util::BodyExt as _;

use super::*;

async fn answer(failure: Failure) -> (http::response::Parts, serde_json::Value) {
    let (parts, body) = failure.respond("acme/main").into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts, serde_json::from_slice(&body).unwrap())
}

fn phrase(parts: &http::response::Parts) -> &str {
    std::str::from_utf8(parts.extensions.get::<ReasonPhrase>().unwrap().as_bytes()).unwrap()
}

#[tokio::test]
async fn the_sentence_is_in_the_status_line_and_in_the_body() {
    let sentence = "METADATA Name 'x' does not match filename 'y-1.0-py3-none-any.whl'";
    let invalid = python::Invalid { code: python::Code::NameMismatch, message: sentence.to_owned() };
    let (parts, body) = answer(registry::Error::from(invalid).into()).await;
    assert_eq!(parts.status, 400);
    assert_eq!(phrase(&parts), sentence);
    assert_eq!(parts.headers[CONTENT_TYPE], "application/json");
    assert!(parts.headers.get(WWW_AUTHENTICATE).is_none());
    assert_eq!(
        body,
        json!({
            "message": sentence,
            "code": format!("400 {sentence}"),
            "title": "Bad Request",
            "errors": [{ "code": "PYTHON_NAME_MISMATCH", "message": sentence }],
        })
    );
}

#[tokio::test]
async fn a_status_line_holds_nothing_but_printable_ascii() {
    let (parts, body) = answer(Failure::denied(format!("a\r\nb\u{e9}{}", "c".repeat(1000)))).await;
    assert_eq!(phrase(&parts), format!("a??b?{}", "c".repeat(245)));
    assert_eq!(body["message"].as_str().unwrap().chars().count(), 1005);
}

#[tokio::test]
async fn missing_credentials_are_asked_for_by_name_of_the_registry() {
    let (parts, body) = answer(Failure::unauthorized("sign in")).await;
    assert_eq!(parts.status, 401);
    assert_eq!(parts.headers[WWW_AUTHENTICATE], "Basic realm=\"acme/main\", charset=\"UTF-8\"");
    assert_eq!(body["errors"][0]["code"], "UNAUTHORIZED");
}

#[tokio::test]
async fn an_upload_to_the_index_is_405_with_allow() {
    let error = CallError { place: None, reason: CallErrorReason::UploadToIndex { allow: "GET, HEAD" } };
    let (parts, body) = answer(error.into()).await;
    assert_eq!(parts.status, 405);
    assert_eq!(parts.headers[ALLOW], "GET, HEAD");
    assert_eq!(body["errors"][0]["code"], "UNSUPPORTED");
}

#[test]
fn statuses_of_faults() {
    for (fault, expected) in [
        (PackageFault::Invalid(python::Code::Archive), 400),
        (PackageFault::TooLarge, 413),
        (PackageFault::Exists, 409),
        (PackageFault::Deleted, 409),
        (PackageFault::NameSimilar, 409),
        (PackageFault::Archived, 403),
        (PackageFault::Quarantined, 403),
        (PackageFault::Gone, 410),
    ] {
        assert_eq!(status(fault), expected, "{fault:?}");
    }
}
