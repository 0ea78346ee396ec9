//! What has to stay as fast as it was when there is more to do: collection beside requests, long lists, and knowing
//! who is asking.
//!
//! Both are measured on each pair of a database and a store, with servers that the tests start too. The rows and the
//! objects are put there past the server, since pushing them would take hours.

pub(crate) mod collection;
pub(crate) mod credentials;
mod load;
pub(crate) mod names;
mod place;

use std::path::Path;

use serde::Serialize;

use crate::tell;
use collection::Collection;
use credentials::Credentials;
use names::Names;
pub(crate) use place::Kind;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// On which pair alone; on each when none is named.
    pub(crate) on: Option<Kind>,
    /// Whether collection is measured, and over how many blobs.
    pub(crate) blobs: Option<u32>,
    /// Whether lists are measured, and with how many requests for each page.
    pub(crate) requests: Option<u32>,
    /// Whether credentials are compared, and in how many rounds.
    pub(crate) rounds: Option<u32>,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Scale {
    /// Collection, on each pair.
    pub(crate) collection: Vec<Collection>,
    /// Lists, on each pair.
    pub(crate) names: Vec<Names>,
    /// Credentials, on each pair.
    pub(crate) credentials: Vec<Credentials>,
}

/// Measures what `plan` asks for. It blocks and must not run inside an asynchronous runtime.
pub(crate) fn measure(program: &Path, plan: Plan) -> anyhow::Result<Scale> {
    let mut scale = Scale::default();
    for kind in Kind::ALL.into_iter().filter(|kind| plan.on.is_none_or(|on| on == *kind)) {
        if let Some(blobs) = plan.blobs {
            tell(&format!("collection on {}: {blobs} blobs, half of them garbage", kind.name()));
            scale.collection.push(collection::measure(program, kind, blobs)?);
        }
        if let Some(requests) = plan.requests {
            tell(&format!("long lists on {}", kind.name()));
            scale.names.push(names::measure(program, kind, requests)?);
        }
        if let Some(rounds) = plan.rounds {
            tell(&format!("credentials on {}", kind.name()));
            scale.credentials.push(credentials::measure(program, kind, rounds)?);
        }
    }
    Ok(scale)
}
