//! Long lists: whether a page costs more when there are a hundred times as many names.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::load::block_on;
use super::place::{Kind, Place, Script};
use crate::client::{Client, Target};
use crate::content::{MANIFEST_TYPE, digest_of};

/// Where the numbers of rows begin that the server did not make.
const FIRST: u32 = 1_000_000;

/// How much there is on a server.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Size {
    /// Tags of one repository.
    pub(crate) tags: u32,
    /// Referrers of one subject.
    pub(crate) referrers: u32,
    /// Repositories of one registry.
    pub(crate) repositories: u32,
    /// Organizations, each with a registry.
    pub(crate) organizations: u32,
}

impl Size {
    /// All of it.
    pub(crate) const FULL: Self =
        Self { tags: 100_000, referrers: 10_000, repositories: 10_000, organizations: 2_000 };
    /// A hundredth.
    pub(crate) const SMALL: Self = Self { tags: 1_000, referrers: 100, repositories: 100, organizations: 20 };
}

/// A list whose pages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum List {
    /// The tags of a repository.
    Tags,
    /// What refers to a manifest.
    Referrers,
    /// The repositories that the caller may pull from.
    Repositories,
    /// The organizations.
    Organizations,
}

impl List {
    /// All.
    pub(crate) const ALL: [Self; 4] = [Self::Tags, Self::Referrers, Self::Repositories, Self::Organizations];

    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Repositories => "repositories",
            Self::Organizations => "organizations",
        }
    }

    /// How many of it there are.
    pub(crate) fn count(self, size: Size) -> u32 {
        match self {
            Self::Tags => size.tags,
            Self::Referrers => size.referrers,
            Self::Repositories => size.repositories,
            Self::Organizations => size.organizations,
        }
    }

    /// Entries in a page, so that even the shortest list has a page in the middle.
    fn page(self) -> u32 {
        match self {
            Self::Tags => 100,
            Self::Referrers | Self::Repositories => 20,
            Self::Organizations => 5,
        }
    }

    fn first_page(self) -> String {
        let n = self.page();
        match self {
            Self::Tags => format!("/v2/demo/main/names/tags/list?n={n}"),
            Self::Referrers => format!("/v2/demo/main/names/referrers/{}?n={n}", digest_of(SUBJECT)),
            Self::Repositories => format!("/v2/_catalog?n={n}"),
            Self::Organizations => format!("/api/v1/organizations?limit={n}"),
        }
    }

    /// The path of the page behind one, and how many entries that one has.
    fn read(self, body: &[u8], link: Option<&str>) -> anyhow::Result<(Option<String>, usize)> {
        let body: serde_json::Value = serde_json::from_slice(body).context("a page is not JSON")?;
        let entries = match self {
            Self::Tags => &body["tags"],
            Self::Referrers => &body["manifests"],
            Self::Repositories => &body["repositories"],
            Self::Organizations => &body["items"],
        };
        let next = match self {
            Self::Organizations => body["next_cursor"]
                .as_str()
                .map(|cursor| format!("/api/v1/organizations?limit={}&cursor={cursor}", self.page())),
            _ => link.and_then(|link| {
                let (_, rest) = link.split_once('<')?;
                Some(rest.split_once('>')?.0.to_owned())
            }),
        };
        Ok((next, entries.as_array().context("a page has no list")?.len()))
    }
}

/// What refers to this manifest is listed.
const SUBJECT: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}"#;

/// How one page compares.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Page {
    /// Of which list.
    pub(crate) list: List,
    /// `first`, `middle` or `last`.
    pub(crate) which: &'static str,
    /// How long it takes in the middle where there is a hundredth, in milliseconds.
    pub(crate) small_ms: f64,
    /// The same where there is everything.
    pub(crate) full_ms: f64,
}

impl Page {
    /// How much longer it takes.
    pub(crate) fn ratio(&self) -> f64 {
        self.full_ms / self.small_ms
    }
}

/// All pages on one database.
#[derive(Debug, Serialize)]
pub(crate) struct Names {
    /// On what.
    pub(crate) kind: Kind,
    /// The pages.
    pub(crate) pages: Vec<Page>,
}

/// Measures two servers in turn, request by request, so that whatever else the machine does slows down both.
pub(crate) fn measure(program: &Path, kind: Kind, requests: u32) -> anyhow::Result<Names> {
    let small = filled(program, kind, Size::SMALL)?;
    let full = filled(program, kind, Size::FULL)?;
    let (small, full) = (small.target()?, full.target()?);
    let pages = block_on(async {
        let (mut one, mut other) = (Asked::new(&small).await?, Asked::new(&full).await?);
        let mut asked = Vec::new();
        for list in List::ALL {
            let small_paths = one.paths(list, list.count(Size::SMALL)).await?;
            let full_paths = other.paths(list, list.count(Size::FULL)).await?;
            let paths = small_paths.into_iter().zip(full_paths);
            for (which, paths) in ["first", "middle", "last"].into_iter().zip(paths) {
                asked.push((list, which, paths, Vec::new(), Vec::new()));
            }
        }
        // All pages in turn, and both servers in turn, so that no moment of the machine hits one alone.
        for turn in 0..requests {
            for (_, _, (small_path, full_path), small_times, full_times) in &mut asked {
                if turn % 2 == 0 {
                    small_times.push(one.time(small_path).await?);
                    full_times.push(other.time(full_path).await?);
                } else {
                    full_times.push(other.time(full_path).await?);
                    small_times.push(one.time(small_path).await?);
                }
            }
        }
        anyhow::Ok(asked)
    })??;
    let pages = pages
        .into_iter()
        .map(|(list, which, _, small_times, full_times)| {
            let (small_ms, full_ms) = (median(small_times), median(full_times));
            Page { list, which, small_ms, full_ms }
        })
        .collect();
    Ok(Names { kind, pages })
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}

/// One client of one server.
struct Asked(Client);

impl Asked {
    async fn new(target: &Target) -> anyhow::Result<Self> {
        Ok(Self(target.connect().await?))
    }

    /// Walks a list that has `count` entries, or a few more that every server has, and gives the paths of its first
    /// page, of the one in the middle and of the last that is full.
    async fn paths(&mut self, list: List, count: u32) -> anyhow::Result<[String; 3]> {
        let mut paths = Vec::new();
        let (mut next, mut found) = (Some(list.first_page()), 0);
        while let Some(path) = next {
            let (body, link) = self.0.page(&path).await?;
            let (behind, entries) = list.read(&body, link.as_deref())?;
            found += entries;
            if entries == list.page() as usize {
                paths.push(path);
            }
            next = behind;
        }
        let wanted = count as usize;
        ensure!(
            (wanted..wanted + 3).contains(&found),
            "the list of {} has {found} entries and should have {wanted}",
            list.name()
        );
        let furthest = paths.last().context("the list has no full page")?.clone();
        Ok([paths[0].clone(), paths[paths.len() / 2].clone(), furthest])
    }

    async fn time(&mut self, path: &str) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.0.page(path).await?;
        Ok(begun.elapsed())
    }
}

/// A server with `size` of everything.
fn filled(program: &Path, kind: Kind, size: Size) -> anyhow::Result<Place> {
    let variables = [("LARDER_LOG__LEVEL", "warn"), ("LARDER_GC__ENABLED", "false")];
    let mut place = Place::start(kind, program, &variables);
    let registry = place.number("SELECT id FROM registries WHERE path = 'demo/main/'")?;
    place.stop();
    let mut script = Script::new();
    let repositories = "repositories (id, registry_id, name, format, created_at)";
    script.row(repositories, &format!("{FIRST}, {registry}, 'names', 'oci', 1"));
    for number in 1..=size.repositories {
        let id = FIRST + number;
        script.row(repositories, &format!("{id}, {registry}, 'repository-{number:06}', 'oci', 1"));
    }
    for number in 1..=size.organizations {
        let id = FIRST + number;
        script.row("organizations (id, name, created_at)", &format!("{id}, 'organization-{number:06}', 1"));
    }
    for number in 1..=size.organizations {
        let id = FIRST + number;
        script.row(
            "registries (id, organization_id, name, path, visibility, created_at)",
            &format!("{id}, {id}, 'main', 'organization-{number:06}/main/', 'private', 1"),
        );
    }
    subject_and_referrers(&place, size, &mut script);
    for number in 1..=size.tags {
        script.row(
            "tags (repository_id, name, manifest_id, updated_at)",
            &format!("{FIRST}, 'tag-{number:06}', {FIRST}, 1"),
        );
    }
    place.execute(&script.text())?;
    place.settle()?;
    place.start_again(&variables);
    Ok(place)
}

fn subject_and_referrers(place: &Place, size: Size, script: &mut Script) {
    let subject = digest_of(SUBJECT);
    let mut manifest = |id: u32, body: &str| {
        let (digest, bytes, length) = (digest_of(body.as_bytes()), place.bytes(body.as_bytes()), body.len());
        script.row(
            "manifests (id, repository_id, digest, media_type, size, pushed_by, created_at, body)",
            &format!("{id}, {FIRST}, '{digest}', '{MANIFEST_TYPE}', {length}, 'admin', 1, {bytes}"),
        );
    };
    let referrers: Vec<String> = (1..=size.referrers)
        .map(|number| {
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","artifactType":"application/x.bench","layers":[],"subject":{{"mediaType":"{MANIFEST_TYPE}","digest":"{subject}","size":{}}},"annotations":{{"number":"{number}"}}}}"#,
                SUBJECT.len()
            )
        })
        .collect();
    manifest(FIRST, std::str::from_utf8(SUBJECT).expect("it is written above"));
    for (id, body) in (FIRST + 1..).zip(&referrers) {
        manifest(id, body);
    }
    for (id, body) in (FIRST + 1..).zip(&referrers) {
        let (digest, length) = (digest_of(body.as_bytes()), body.len());
        script.row(
            "referrers (manifest_id, repository_id, subject, artifact_type, made_at, descriptor)",
            &format!(
                r#"{id}, {FIRST}, '{subject}', 'application/x.bench', 0, '{{"mediaType":"{MANIFEST_TYPE}","digest":"{digest}","size":{length},"artifactType":"application/x.bench"}}'"#
            ),
        );
    }
}
