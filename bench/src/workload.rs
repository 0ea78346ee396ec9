//! What is measured: each workload sets up what it needs and then does one operation over and over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::{Client, Target};
use crate::content::{Blob, Stock, digest_of, manifest};
use crate::measure::Load;
use crate::server::Product;

/// Bytes of a large blob.
pub(crate) const LARGE_BYTES: u64 = 100 << 20;
/// Bytes of the blobs that metadata workloads ask for.
const SMALL_BYTES: u64 = 4096;
/// Bytes of the configuration of a small image.
const CONFIG_BYTES: u64 = 2048;
/// Bytes of one layer of a small image.
const LAYER_BYTES: u64 = 64 * 1024;
/// Layers of a small image.
pub(crate) const LAYERS: usize = 3;
/// Layers of the manifests that are read.
const READ_LAYERS: usize = 6;
/// Connections that set up.
const SET_UP_CONNECTIONS: usize = 8;

/// One thing that a registry or a package index does all day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// Read a manifest by tag.
    ManifestGet,
    /// Ask whether a blob is there.
    BlobHead,
    /// Read a 100 MiB blob.
    Pull,
    /// Push a 100 MiB blob, one after the other.
    Push,
    /// Push 100 MiB blobs, four at once.
    PushParallel,
    /// Push an image of four small blobs and a manifest.
    ImagePush,
    /// Read the page of a Python project with many files, as pip does.
    PythonPageJson,
    /// The same in HTML.
    PythonPageHtml,
    /// Read the list of all Python projects, as pip would.
    PythonList,
    /// Download small wheels.
    PythonDownload,
    /// Upload small wheels, 50 to a release.
    PythonUpload,
}

impl Workload {
    /// All, in the order in which they run.
    pub(crate) const ALL: [Self; 11] = [
        Self::ManifestGet,
        Self::BlobHead,
        Self::Pull,
        Self::Push,
        Self::PushParallel,
        Self::ImagePush,
        Self::PythonPageJson,
        Self::PythonPageHtml,
        Self::PythonDownload,
        Self::PythonList,
        Self::PythonUpload,
    ];

    /// Those of a Python index, each group with a server of its own: what one leaves behind is no burden for
    /// another.
    pub(crate) const PYTHON: [&[Self]; 3] = [
        &[Self::PythonPageJson, Self::PythonPageHtml, Self::PythonDownload],
        &[Self::PythonList],
        &[Self::PythonUpload],
    ];

    /// Whether it is one of a Python index.
    pub(crate) fn is_python(self) -> bool {
        Self::PYTHON.iter().any(|group| group.contains(&self))
    }

    /// Who is compared with Larder.
    pub(crate) fn peers(self) -> &'static [Product] {
        if self.is_python() { &[Product::Pypiserver, Product::Devpi] } else { &[Product::Distribution] }
    }

    /// The name in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::ManifestGet => "manifest GET by tag",
            Self::BlobHead => "blob HEAD",
            Self::Pull => "100 MiB pull",
            Self::Push => "100 MiB push",
            Self::PushParallel => "100 MiB push, parallel",
            Self::ImagePush => "small-image push",
            Self::PythonPageJson => "project page as pip asks",
            Self::PythonPageHtml => "project page in HTML",
            Self::PythonList => "project list as pip asks",
            Self::PythonDownload => "wheel download",
            Self::PythonUpload => "wheel upload",
        }
    }

    /// Connections to `product` that work at once.
    pub(crate) fn connections(self, product: Product) -> usize {
        /// pypiserver's own web server answers one request at a time and ends the connection behind it; five may
        /// wait for it, and the kernel drops what comes beyond that.
        const PYPISERVER_CONNECTIONS: usize = 4;
        match product {
            Product::Pypiserver => PYPISERVER_CONNECTIONS,
            Product::Larder | Product::Distribution | Product::Devpi => self.most_connections(),
        }
    }

    /// Connections to a server that takes as many as come.
    fn most_connections(self) -> usize {
        match self {
            Self::ManifestGet
            | Self::BlobHead
            | Self::PythonPageJson
            | Self::PythonPageHtml
            | Self::PythonList
            | Self::PythonDownload => 16,
            Self::Pull | Self::PushParallel => 4,
            Self::Push => 1,
            Self::ImagePush | Self::PythonUpload => 8,
        }
    }

    /// How many units of [`Self::unit`] one operation counts for.
    pub(crate) fn weight(self) -> f64 {
        match self {
            Self::Pull | Self::Push | Self::PushParallel => 100.0,
            _ => 1.0,
        }
    }

    /// What a rate counts.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::ManifestGet
            | Self::BlobHead
            | Self::PythonPageJson
            | Self::PythonPageHtml
            | Self::PythonList => "req/s",
            Self::Pull | Self::Push | Self::PushParallel => "MiB/s",
            Self::ImagePush => "img/s",
            Self::PythonDownload | Self::PythonUpload => "files/s",
        }
    }
}

/// What one server holds for the workloads, and what they push next.
#[derive(Debug)]
pub(crate) struct Fixture {
    /// Tags that can be read, with the length of their manifests.
    tags: Vec<(String, u64)>,
    /// Small blobs that can be asked for.
    blobs: Vec<Blob>,
    /// The large blob that can be pulled.
    large: Option<Blob>,
    /// Where unique large blobs come from.
    large_stock: Option<Stock>,
    config_stock: Stock,
    layer_stock: Stock,
    /// Counts operations over all workers, so that each gets its own tag or blob.
    next: AtomicUsize,
}

impl Fixture {
    /// Fills the server behind `target` with `tags` images for `workloads`.
    pub(crate) async fn set_up(target: &Target, workloads: &[Workload], tags: usize) -> anyhow::Result<Self> {
        let mut fixture = Self {
            tags: Vec::new(),
            blobs: Vec::new(),
            large: None,
            large_stock: None,
            config_stock: Stock::new(CONFIG_BYTES)?,
            layer_stock: Stock::new(LAYER_BYTES)?,
            next: AtomicUsize::new(0),
        };
        if workloads.iter().any(|workload| matches!(workload, Workload::ManifestGet | Workload::BlobHead)) {
            fixture.push_images(target, tags).await.context("cannot push the images that are read later")?;
        }
        if workloads
            .iter()
            .any(|workload| matches!(workload, Workload::Pull | Workload::Push | Workload::PushParallel))
        {
            let stock = Stock::new(LARGE_BYTES)?;
            let blob = stock.blob()?;
            let mut client = target.connect().await?;
            client.blob_push(&blob).await.context("cannot push the large blob that is read later")?;
            client.blob_verify(blob.digest(), blob.size()).await?;
            fixture.large = Some(blob);
            fixture.large_stock = Some(stock);
        }
        Ok(fixture)
    }

    /// Pushes `count` manifests over a quarter as many blobs.
    async fn push_images(&mut self, target: &Target, count: usize) -> anyhow::Result<()> {
        let stock = Stock::new(SMALL_BYTES)?;
        self.blobs =
            (0..(count / 4).max(READ_LAYERS + 1)).map(|_| stock.blob()).collect::<anyhow::Result<_>>()?;
        let blobs = Arc::new(self.blobs.clone());
        each(
            target,
            blobs.len(),
            |mut client, blobs, index| async move {
                client.blob_push(&blobs[index]).await?;
                Ok(client)
            },
            &blobs,
        )
        .await?;
        let manifests: Vec<_> = (0..count)
            .map(|index| {
                let mut layers: Vec<_> =
                    blobs.iter().cycle().skip(index).take(READ_LAYERS + 1).cloned().collect();
                let config = layers.remove(0);
                (format!("v{index}"), manifest(&config, &layers, &format!("image {index}")))
            })
            .collect();
        self.tags = manifests.iter().map(|(tag, body)| (tag.clone(), body.len() as u64)).collect();
        each(
            target,
            count,
            |mut client, manifests, index| async move {
                let (tag, body) = &manifests[index];
                client.manifest_put(tag, body).await?;
                Ok(client)
            },
            &Arc::new(manifests),
        )
        .await
    }

    /// Does `workload` once.
    pub(crate) async fn operate(&self, workload: Workload, client: &mut Client) -> anyhow::Result<()> {
        match workload {
            Workload::ManifestGet => {
                let (tag, length) = &self.tags[self.step(self.tags.len())];
                client.manifest_get(tag, *length).await
            }
            Workload::BlobHead => {
                let blob = &self.blobs[self.step(self.blobs.len())];
                client.blob_head(blob.digest(), blob.size()).await
            }
            Workload::Pull => {
                let blob = self.large.as_ref().expect("the fixture was set up for this workload");
                client.blob_pull(blob.digest(), blob.size()).await
            }
            Workload::Push | Workload::PushParallel => {
                let stock = self.large_stock.as_ref().expect("the fixture was set up for this workload");
                client.blob_push(&stock.blob()?).await
            }
            Workload::ImagePush => self.image_push(client).await,
            other => bail!("{} is no workload of a registry", other.title()),
        }
    }

    /// Reads one of the small blobs.
    pub(crate) async fn small_pull(&self, client: &mut Client) -> anyhow::Result<()> {
        let blob = &self.blobs[self.step(self.blobs.len())];
        client.blob_pull(blob.digest(), blob.size()).await
    }

    async fn image_push(&self, client: &mut Client) -> anyhow::Result<()> {
        let config = self.config_stock.blob()?;
        let layers = (0..LAYERS).map(|_| self.layer_stock.blob()).collect::<anyhow::Result<Vec<_>>>()?;
        for blob in layers.iter().chain([&config]) {
            client.blob_miss(blob.digest()).await?;
            client.blob_push(blob).await?;
        }
        let body = manifest(&config, &layers, "small image");
        let digest = digest_of(&body);
        let tag = digest.trim_start_matches("sha256:");
        client.manifest_put(tag, &body).await
    }

    /// The next of `count` things, in an order that visits all and is not the order in which they were made.
    fn step(&self, count: usize) -> usize {
        shuffled(self.next.fetch_add(1, Ordering::Relaxed), count)
    }
}

/// Which of `count` things comes as number `step`, in an order that visits all and is not the order in which they
/// were made.
pub(crate) fn shuffled(step: usize, count: usize) -> usize {
    const STRIDE: usize = 7919; // a prime: it visits every index of a `count` that it does not divide
    step.wrapping_mul(STRIDE) % count
}

/// A registry that was filled, and who asks it.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Where requests go; its token lives as long as a run.
    pub(crate) target: Target,
    /// What is there.
    pub(crate) fixture: Arc<Fixture>,
}

impl Load for Registry {
    type Client = Client;

    async fn connect(&self) -> anyhow::Result<Client> {
        self.target.connect().await
    }

    async fn operate(&self, workload: Workload, client: &mut Client) -> anyhow::Result<()> {
        self.fixture.operate(workload, client).await
    }
}

/// Does `work` for every index below `count` on a few connections.
async fn each<T, F, W>(target: &Target, count: usize, work: F, things: &Arc<T>) -> anyhow::Result<()>
where
    T: Send + Sync + 'static,
    F: Fn(Client, Arc<T>, usize) -> W + Copy + Send + 'static,
    W: Future<Output = anyhow::Result<Client>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for first in 0..SET_UP_CONNECTIONS.min(count) {
        let mut client = target.connect().await?;
        let things = Arc::clone(things);
        tasks.spawn(async move {
            for index in (first..count).step_by(SET_UP_CONNECTIONS) {
                client = work(client, Arc::clone(&things), index).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("a set-up task ended early")??;
    }
    Ok(())
}
