//! Pages as answers, and what becomes of a problem: a page that says what to do next.

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::html::{Html, html};
use crate::api::problem::Problem;
use crate::api::providers::wants_page;
use crate::context::Context;

pub(super) use crate::api::providers::redirect;

/// A page.
pub(super) fn page(title: &str, main: &Html) -> Response {
    let document = html!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <title>{} – Larder</title>\n<link rel=\"stylesheet\" href=\"/static/larder.css\">\n</head>\n\
         <body>\n<header><a href=\"/\">Larder</a></header>\n<main>\n<h1>{}</h1>\n{}</main>\n</body>\n</html>\n",
        title,
        title,
        main,
    );
    let mut response = document.into_string().into_response();
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A page that shows a form again, with what was wrong with what it carried.
pub(super) fn page_again(problem: &Problem, title: &str, main: &Html) -> Response {
    let (status, headers) = problem.head();
    (status, headers, page(title, main)).into_response()
}

/// What was wrong, above the form that is to be filled in again.
pub(super) fn alert(problem: &Problem) -> Html {
    html!("<p class=\"alert\" role=\"alert\">{}</p>\n", sentence(problem.detail()))
}

/// Says something that went well, or what comes next.
pub(super) fn note(text: &str) -> Html {
    html!("<p class=\"note\" role=\"status\">{}</p>\n", text)
}

/// Ends a handler: a problem becomes a page.
pub(super) fn answer(context: &Context, outcome: Result<Response, Problem>) -> Response {
    outcome.unwrap_or_else(|problem| refusal(context, &problem))
}

fn refusal(context: &Context, problem: &Problem) -> Response {
    let elsewhere = match problem.code() {
        "unauthenticated" => redirect("/sign-in?problem=session-over"),
        "proof_needed" => redirect("/account/prove"),
        _ => Ok(refusal_page(context, problem)),
    };
    elsewhere.unwrap_or_else(|problem| refusal_page(context, &problem))
}

fn refusal_page(context: &Context, problem: &Problem) -> Response {
    let text = match problem.code() {
        "csrf" => {
            "This page was from a session that is over. Nothing has been changed: go to your account and try again."
                .to_owned()
        }
        _ => sentence(problem.detail()),
    };
    let main = html!(
        "<p class=\"alert\" role=\"alert\">{}</p>\n<p><a href=\"/account\">Go to your account</a></p>\n\
         <p class=\"small\">Request {}</p>\n",
        text,
        context.request_id.to_string(),
    );
    let title =
        if problem.head().0 == StatusCode::NOT_FOUND { "Nothing is here" } else { "That did not work" };
    page_again(problem, title, &main)
}

/// A message of the program as a person reads it.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().collect::<String>());
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.unwrap_or_default(), characters.as_str())
}

/// The page has forms, and this was none of them.
pub(super) async fn method_not_allowed(Extension(context): Extension<Context>) -> Response {
    refusal(&context, &Problem::method_not_allowed())
}

/// No surface answers for this path: a person gets a page, and a program the same as anywhere.
pub(crate) async fn not_found(Extension(context): Extension<Context>, headers: HeaderMap) -> Response {
    if !wants_page(&headers) {
        return crate::api::not_found(Extension(context)).await.into_response();
    }
    let problem = Problem::not_found(
        "there is no page of this name, and the registry itself has no pages to look at; docker and the like \
         reach it under the same address",
    );
    let mut response = refusal(&context, &problem);
    super::dress(&mut response);
    response
}
