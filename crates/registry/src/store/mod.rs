//! SQL, one file per group of tables, and no rules. Names say the resource first; functions over a
//! transaction end in `_in`.
//!
//! Several transactions run at once on PostgreSQL, so who relies on a row locks it:
//!
//! * `_hold_in` keeps a row from going (`FOR KEY SHARE`); any number may hold it. Whoever names content holds it.
//! * `_take_in` keeps others from holding it (`FOR UPDATE`). Whoever removes content takes it first and asks in a
//!   later statement, which sees what was committed meanwhile, whether anything names it.
//!
//! Everybody locks in one order, so that nobody waits in a circle: uploads, review queue, registries and
//! repositories, objects, blobs, manifests, tags; rows of one table by name.

mod batch;
use std::time::Duration;

/// For how long pulls of what was asked for before go on while the database is away: content under a digest
/// never changes, and nobody's rights change in a database that is away. One that only this server cannot reach
/// may take them away meanwhile, which is why it ends.
const OUTAGE: Duration = Duration::from_mins(10);
/// The same for where a tag points, which others may change.
const TAG_OUTAGE: Duration = Duration::from_secs(2);

pub(crate) mod blobs;
pub(crate) mod explain;
pub(crate) mod group_roles;
pub(crate) mod invitations;
pub(crate) mod leases;
pub(crate) mod manifests;
pub(crate) mod members;
pub(crate) mod python_files;
pub(crate) mod python_projects;
pub(crate) mod referrers;
pub(crate) mod repositories;
pub(crate) mod resolve;
pub(crate) mod review;
pub(crate) mod tags;
pub(crate) mod tenancy;
pub(crate) mod trash;
pub(crate) mod uploads;
