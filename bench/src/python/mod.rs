//! What is measured of a Python index: pages, lists, downloads and uploads of small wheels.

mod client;
mod wheel;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use tokio::task::JoinSet;

pub(crate) use client::Client;
use client::{AS_PIP, HTML, Index};
use wheel::Wheel;

use crate::measure::Load;
use crate::server::Server;
use crate::workload::{Workload, shuffled};

/// Wheels of a release, in downloads and uploads.
const RELEASE_WHEELS: usize = 50;
/// Wheels of a release on the page that is read.
const PAGE_RELEASE_WHEELS: usize = 4;
/// Bytes of a wheel that is downloaded or uploaded, roughly.
const WHEEL_BYTES: usize = 16 * 1024;
/// Connections that fill a server.
const SET_UP_CONNECTIONS: usize = 8;
/// The project whose page is read.
const PAGE_PROJECT: &str = "paged";
/// The project whose wheels are downloaded.
const DOWNLOAD_PROJECT: &str = "downloads";

/// How much a server is filled with.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sizes {
    /// Files on the page that is read.
    pub(crate) files: usize,
    /// Projects in the list that is read.
    pub(crate) projects: usize,
}

/// A page or a file that is read over and over.
#[derive(Debug)]
struct Readable {
    path: String,
    accept: &'static str,
    length: u64,
}

/// A server that was filled for a group of workloads.
#[derive(Debug)]
pub(crate) struct Python {
    index: Index,
    page_json: Option<Readable>,
    page_html: Option<Readable>,
    list: Option<Readable>,
    downloads: Vec<Readable>,
    /// Counts operations over all clients, so that each gets its own file.
    next: AtomicUsize,
}

impl Python {
    /// Fills `server` for `workloads`.
    pub(crate) async fn set_up(
        server: &Server,
        workloads: &[Workload],
        sizes: Sizes,
    ) -> anyhow::Result<Self> {
        let mut python = Self {
            index: Index::open(server).await?,
            page_json: None,
            page_html: None,
            list: None,
            downloads: Vec::new(),
            next: AtomicUsize::new(0),
        };
        let asked = |workload| workloads.contains(&workload);
        if asked(Workload::PythonPageJson) || asked(Workload::PythonPageHtml) {
            let release = |number| format!("{}.0", number / PAGE_RELEASE_WHEELS);
            let make =
                move |number| Wheel::new(PAGE_PROJECT, &release(number), number % PAGE_RELEASE_WHEELS, 10);
            python.fill(sizes.files, make).await.context("cannot fill the page that is read")?;
            let path = python.index.page(PAGE_PROJECT);
            python.page_json = Some(python.look(path.clone(), AS_PIP, sizes.files).await?);
            python.page_html = Some(python.look(path, HTML, sizes.files).await?);
        }
        if asked(Workload::PythonDownload) {
            let make = |number| Wheel::new(DOWNLOAD_PROJECT, "1.0", number, WHEEL_BYTES);
            python
                .fill(RELEASE_WHEELS, make)
                .await
                .context("cannot upload the wheels that are downloaded")?;
            python.downloads = python.look_at_files().await?;
        }
        if asked(Workload::PythonList) {
            let make = |number| Wheel::new(&format!("project{number:05}"), "1.0", 1, 10);
            python.fill(sizes.projects, make).await.context("cannot make the projects that are listed")?;
            python.list = Some(python.look(python.index.list().to_owned(), AS_PIP, sizes.projects).await?);
        }
        Ok(python)
    }

    /// Gives the server `count` wheels, through its folder where it has one, through uploads otherwise.
    async fn fill(
        &self,
        count: usize,
        make: impl Fn(usize) -> Wheel + Copy + Send + 'static,
    ) -> anyhow::Result<()> {
        if let Some(packages) = &self.index.packages {
            for wheel in (0..count).map(make) {
                fs::write(packages.join(&wheel.filename), &wheel.bytes).context("cannot write a wheel")?;
            }
            return Ok(());
        }
        let mut tasks = JoinSet::new();
        for first in 0..SET_UP_CONNECTIONS {
            let mut client = self.index.connect().await?;
            tasks.spawn(async move {
                for number in (first..count).step_by(SET_UP_CONNECTIONS) {
                    client.upload(&make(number)).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("a set-up task ended early")??;
        }
        Ok(())
    }

    /// A page that has to have `entries` entries.
    async fn look(&self, path: String, accept: &'static str, entries: usize) -> anyhow::Result<Readable> {
        let page = self.index.connect().await?.collect(&path, accept).await?;
        let text = std::str::from_utf8(&page).with_context(|| format!("{path} is not text"))?;
        let found = if text.trim_start().starts_with('<') {
            text.matches("</a>").count()
        } else {
            // The list has names and no files; a page has files, and a name of its own.
            match text.matches("\"filename\"").count() {
                0 => text.matches("\"name\"").count(),
                files => files,
            }
        };
        ensure!(found == entries, "{path} has {found} entries instead of {entries}");
        Ok(Readable { path, accept, length: page.len() as u64 })
    }

    /// The wheels that are downloaded, found as an installer finds them.
    async fn look_at_files(&self) -> anyhow::Result<Vec<Readable>> {
        let path = self.index.page(DOWNLOAD_PROJECT);
        let mut client = self.index.connect().await?;
        let page = client.collect(&path, HTML).await?;
        let page = String::from_utf8(page).with_context(|| format!("{path} is not text"))?;
        let mut files = Vec::new();
        for link in page.split("href=\"").skip(1) {
            let end = link.find(['"', '#']).context("a link has no end")?;
            let path = resolve(&path, &link[..end]);
            let length = client.collect(&path, "*/*").await?.len() as u64;
            ensure!(length > WHEEL_BYTES as u64, "{path} is no wheel of the benchmark");
            files.push(Readable { path, accept: "*/*", length });
        }
        ensure!(files.len() == RELEASE_WHEELS, "{path} links to {} files", files.len());
        Ok(files)
    }

    /// Uploads the next wheel; after 50 begins another project.
    async fn upload(&self, client: &mut Client) -> anyhow::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let project = format!("upload{:05}", number / RELEASE_WHEELS);
        client.upload(&Wheel::new(&project, "1.0", number % RELEASE_WHEELS, WHEEL_BYTES)).await
    }
}

impl Load for Python {
    type Client = Client;

    async fn connect(&self) -> anyhow::Result<Client> {
        self.index.connect().await
    }

    async fn operate(&self, workload: Workload, client: &mut Client) -> anyhow::Result<()> {
        let readable = match workload {
            Workload::PythonPageJson => self.page_json.as_ref(),
            Workload::PythonPageHtml => self.page_html.as_ref(),
            Workload::PythonList => self.list.as_ref(),
            Workload::PythonDownload => {
                let step = self.next.fetch_add(1, Ordering::Relaxed);
                self.downloads.get(shuffled(step, RELEASE_WHEELS))
            }
            Workload::PythonUpload => return self.upload(client).await,
            other => bail!("{} is no workload of a Python index", other.title()),
        };
        let Readable { path, accept, length } = readable.expect("the server was filled for this workload");
        client.get(path, accept, *length).await
    }
}

/// The path of a link on the page at `page` (RFC 3986 §5.2), which is of the same server.
fn resolve(page: &str, link: &str) -> String {
    if let Some((_, rest)) = link.split_once("://") {
        return rest.find('/').map_or_else(|| "/".to_owned(), |start| rest[start..].to_owned());
    }
    if link.starts_with('/') {
        return link.to_owned();
    }
    let mut segments: Vec<&str> = page.split('/').collect();
    segments.pop();
    for segment in link.split('/') {
        match segment {
            ".." => drop(segments.pop()),
            "." => {}
            other => segments.push(other),
        }
    }
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved() {
        for (link, path) in [
            ("../../+f/a/b.whl", "/root/bench/+f/a/b.whl"),
            ("/packages/b.whl", "/packages/b.whl"),
            ("http://127.0.0.1:1/x/b.whl", "/x/b.whl"),
            ("b.whl", "/root/bench/+simple/acme/b.whl"),
        ] {
            assert_eq!(resolve("/root/bench/+simple/acme/", link), path);
        }
    }
}
