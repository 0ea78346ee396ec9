//! What a registry does: push, pull, mount, tag, refer, delete, collect; organizations, registries, members.
//!
//! Use cases are methods of [`Registry`], grouped by resource. Each takes a [`Granted`] value, which only
//! an authorization makes, so that no use case can reach something that was not authorized. Nothing here
//! knows HTTP, and SQL lives in `store` alone.

#[macro_use]
mod crash;

mod backup;
mod blob;
mod catalog;
mod collect;
mod error;
mod explain;
mod grant;
mod group_role;
mod invitation;
mod manifest;
mod member;
mod public_id;
mod python;
mod referrer;
mod scrub;
mod store;
mod store_claim;
mod tag;
mod tenancy;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use db::Db;

pub use self::python::{
    ProjectList, ProjectPage, ProjectPageFile, ProjectState, Published, PythonFile, PythonFileView,
    PythonProjectView, PythonReleaseView, PythonSettings, PythonSettingsChange, PythonTarget, Rebuilt,
    StagedFile, Strictness,
};
pub use backup::{
    BackupEvent, BackupOptions, BackupReport, RestoreOptions, RestoreReport, Snapshot, SnapshotTaken,
    snapshots_list,
};
use blob::parse_key as blob_key;
pub use blob::{BlobContent, BlobStat, Mounted, Pushed, UploadStatus};
pub use catalog::CatalogPage;
pub use collect::{Collected, CollectionStatus, Pace};
pub use error::{Error, ErrorKind, PackageFault, What};
pub use explain::{Effect, Explanation, Source, Step, Target};
pub use grant::{
    Caller, Delete, Granted, MembersList, MembersManage, Organization, OrganizationDelete,
    OrganizationMembersList, OrganizationMembersManage, OrganizationRead, Packages, PackagesDelete,
    PackagesManage, PackagesPush, PackagesRead, Pull, Push, Refusal, RegistryCreate, RegistryManage,
    RegistryPlace, RegistryRead, Repository, Right,
};
pub use group_role::{GroupRoleView, NewGroupRole};
pub use invitation::{InvitationMade, InvitationView, NewInvitation};
pub use manifest::{ManifestContent, ManifestPushed, ManifestStat};
pub use member::{MemberView, user_may_go_in};
pub use referrer::{ReferrerPage, ReferrerQuery};
pub use scrub::{ScrubReport, Suspect};
pub use tag::TagPage;
pub use tenancy::{OrganizationView, RegistrySettings, RegistrySettingsChange, RegistryView};

/// What the operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long an upload session that nobody writes to is kept.
    pub upload_ttl: Duration,
    /// Upload sessions that one user may have open at once.
    pub open_uploads_per_user: u32,
    /// How long the body of an upload may stand still before the request is given up.
    pub body_stall: Duration,
    /// How long something that may have become garbage is left alone. Pushes build from the bottom up, so
    /// this has to be longer than a push takes.
    pub grace: Duration,
    /// How long bytes stay on disk after the last link to them went.
    pub trash_delay: Duration,
    /// Whether manifests without a tag, a parent or a subject are garbage too.
    pub collect_untagged: bool,
    /// Blobs of this size in bytes and above are answered with a redirect to the object store, where it can sign
    /// addresses; `None`: none are.
    pub redirect_from: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_hours(1);
        Self {
            upload_ttl: 24 * HOUR,
            open_uploads_per_user: 1000,
            body_stall: Duration::from_mins(1),
            grace: 24 * HOUR,
            trash_delay: HOUR,
            collect_untagged: false,
            redirect_from: Some(1024 * 1024),
        }
    }
}

/// The registry of one server. Clones share it.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    db: Db,
    blobs: blobs::Store,
    clock: Clock,
    settings: Settings,
    /// Archives that are read at once.
    examinations: tokio::sync::Semaphore,
}

impl Registry {
    /// A registry over an open database and an open blob store.
    pub fn new(db: Db, blobs: blobs::Store, clock: Clock, settings: Settings) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let examinations = tokio::sync::Semaphore::new(processors);
        Self(Arc::new(Inner { db, blobs, clock, settings, examinations }))
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn blobs(&self) -> &blobs::Store {
        &self.0.blobs
    }

    /// How long the body of an upload may stand still before the request is given up.
    pub fn body_stall(&self) -> Duration {
        self.settings().body_stall
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn now(&self) -> clock::Timestamp {
        self.0.clock.now()
    }
}
