//! SQL, one file per group of tables, and no rules. Names say the resource first; functions over a
//! transaction end in `_in`.

pub(crate) mod blobs;
pub(crate) mod leases;
pub(crate) mod manifests;
pub(crate) mod python_files;
pub(crate) mod python_projects;
pub(crate) mod referrers;
pub(crate) mod repositories;
pub(crate) mod review;
pub(crate) mod tags;
pub(crate) mod tenancy;
pub(crate) mod trash;
pub(crate) mod uploads;
