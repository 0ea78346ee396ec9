//! The Python index: projects, releases and files over the same blobs, manifests and tags as everything else.
//!
//! * A project is a repository of format `python`, named as the project is in its normal form.
//! * A file is one immutable manifest with the file as its only layer, under a tag of its own.
//! * A release is a tag that the server moves: to the file's manifest while there is one file, to an index of
//!   them all from two files on.
//!
//! What the index shows and manifests cannot say (yanks, statuses, upload times, deleted names) is in rows. A
//! page is read from the rows alone.

mod attest;
mod delete;
mod examine;
mod manage;
mod publication;
mod publish;
mod pushed;
mod read;
mod rebuild;
mod release;
mod settings;
mod stage;

use clock::Timestamp;
use db::Transaction;
use oci::RepositoryName;

use crate::error::{Error, ErrorKind, PackageFault, What};
use crate::store;

pub(crate) use delete::python_file_delete_in;
pub use manage::{PythonFileView, PythonProjectView, PythonReleaseView, PythonTarget};
pub use publish::Published;
pub(crate) use pushed::{AttestedFile, attested_in, python_shaped};
pub use read::{ProjectList, ProjectPage, ProjectPageFile, ProjectState, PythonFile};
pub use rebuild::Rebuilt;
pub use settings::{PythonSettings, PythonSettingsChange, Strictness};
pub use stage::StagedFile;

/// When something happens, and when what it leaves behind is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) now: Timestamp,
    pub(crate) review_after: Timestamp,
}

/// Begins a change of a project that is there: changes of one registry's index take turns.
async fn project_hold_in(
    transaction: &mut Transaction,
    registry_id: i64,
    place: release::ProjectPlace,
) -> Result<(), Error> {
    transaction.lock(db::Lock::Python, registry_id).await?;
    if store::repositories::repository_hold_in(transaction, place.repository_id).await? {
        return Ok(());
    }
    Err(crate::error::registry_gone())
}

/// Whether a repository belongs to a Python project.
pub(crate) async fn is_python_in(transaction: &mut Transaction, repository_id: i64) -> Result<bool, Error> {
    Ok(store::python_projects::project_of_repository_in(transaction, repository_id).await?.is_some())
}

/// Whether a tag in the repository of a Python project is one that the server keeps: those of releases and
/// files begin with their version, and versions with a digit.
pub(crate) fn is_managed(tag: &str) -> bool {
    tag.starts_with(|first: char| first.is_ascii_digit())
}

/// What somebody hears who wants to set or remove a tag that the server keeps.
pub(crate) fn managed(name: &RepositoryName, tag: &str) -> Error {
    Error::new(
        ErrorKind::Package(PackageFault::Managed),
        format!(
            "tag {tag} of Python project {name} is the server's own: it follows the files of the release; \
             delete a file by the digest of its manifest, or through the management API"
        ),
    )
}

/// What a manifest that is not a Python file may be in the repository of a Python project: something that
/// refers to a file, such as a signature or an SBOM, by digest or under a tag that no version can have.
pub(crate) fn check_foreign(name: &str, is_referrer: bool, tags: &[String]) -> Result<(), Error> {
    if !is_referrer {
        return Err(Error::new(
            ErrorKind::Forbidden,
            format!(
                "repository {name} holds the files of a Python project, and nothing else goes there; push to \
                 another repository"
            ),
        ));
    }
    match tags.iter().find(|tag| is_managed(tag)) {
        None => Ok(()),
        Some(tag) => Err(Error::new(
            ErrorKind::Forbidden,
            format!("tag {tag} could be that of a version, which the server keeps itself; push by digest"),
        )),
    }
}

fn no_project(name: &python::NormalizedName) -> Error {
    Error::not_found(
        What::Project,
        format!("project {name} is not in this registry; check the name, or upload the first file of it"),
    )
}

fn hex_digest(sha256: &str) -> String {
    format!("sha256:{sha256}")
}
