//! `POST …/python`: one file with the form that describes it, read as it arrives.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use python::{FileName, UploadForm};
use registry::{Granted, PackagesPush, Registry, StagedFile};

use super::Exchange;
use super::error::Failure;
use super::form::{Field, Form};
use super::multipart::boundary;
use super::unread::Pieces;
use crate::body::{Response, empty};
use crate::limit::BodyPermit;

/// A file that has arrived.
struct Received {
    filename: String,
    staged: StagedFile,
}

pub(super) async fn post(exchange: Exchange<'_>) -> Result<Response, Failure> {
    let granted = exchange.grant::<PackagesPush>().await?;
    if let Some(length) = exchange.header(CONTENT_LENGTH).and_then(|length| length.parse().ok()) {
        Registry::python_check_length(&granted, length)?;
    }
    let boundary = form_boundary(&exchange)?;
    let _permit = permit(&exchange)?;
    let Some(body) = exchange.body.take() else {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            python::Code::Form.as_str(),
            "malformed multipart body: it is empty",
        ));
    };
    let registry = &exchange.state.registry;
    let mut form = Form::new(body, &boundary, registry.body_stall());
    let mut fields = UploadForm::new();
    let mut received = None;
    if let Err(failure) = receive(registry, &granted, &mut form, &mut fields, &mut received).await {
        exchange.body.put_back(form.into_body());
        if let Some(Received { staged, .. }) = received {
            registry.python_discard(staged).await?;
        }
        return Err(failure);
    }
    let Received { filename, staged } = received.ok_or_else(|| {
        // A form without a file has been refused above.
        Failure::new(StatusCode::BAD_REQUEST, python::Code::Form.as_str(), "the upload has no file")
    })?;
    // Whether the file is new makes no difference to the client, which may be repeating itself after an
    // answer that was lost.
    registry.python_publish(&granted, staged, &filename, &fields).await?;
    let mut response = empty(StatusCode::OK);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

/// Reads the whole form, and the file in it into the store.
async fn receive(
    registry: &Registry,
    granted: &Granted<PackagesPush>,
    form: &mut Form<Pieces>,
    fields: &mut UploadForm,
    received: &mut Option<Received>,
) -> Result<(), Failure> {
    while let Some(field) = form.next().await? {
        match field {
            Field::Text { name, value } => {
                fields.add(&name, &value);
                if let Some(action) = fields.retired_action() {
                    return Err(Failure::retired(action));
                }
            }
            Field::Content { filename } => {
                // What can be told from the name need not wait for the bytes.
                let _: FileName = filename.parse().map_err(registry::Error::from)?;
                let staged = registry.python_stage(granted, form.content()).await?;
                *received = Some(Received { filename, staged });
            }
        }
    }
    Ok(())
}

fn form_boundary(exchange: &Exchange<'_>) -> Result<String, Failure> {
    let mut content_types = exchange.headers.get_all(CONTENT_TYPE).iter();
    let found = match (content_types.next(), content_types.next()) {
        (Some(content_type), None) => content_type.to_str().ok().and_then(boundary),
        _ => None,
    };
    found.ok_or_else(|| {
        Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED",
            "an upload is sent as multipart/form-data with a boundary, as twine and uv do",
        )
    })
}

fn permit(exchange: &Exchange<'_>) -> Result<BodyPermit, Failure> {
    let user_id = exchange.caller.principal.user_id().unwrap_or_default();
    exchange.state.bodies.begin(user_id).ok_or_else(|| {
        Failure::busy(
            "too many uploads of this user are under way; let some finish, then try again",
            Duration::from_secs(1),
        )
    })
}
