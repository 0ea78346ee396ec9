//! Rendered pages, kept in memory. A page is named by what it was made of, so a stale one is never served: a
//! change gives its subject another serial.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use python::Format;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// Memory for pages, in bytes.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Pages that the memory is expected to hold, which sizes the tables and no more.
const EXPECTED_PAGES: usize = 4096;
/// The memory is divided among so many parts, and a page larger than one of them is not kept.
const PARTS: usize = 4;
/// Shorter pages are sent as they are: compressing them saves no packet.
const COMPRESS_BYTES: usize = 1024;

/// What a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The projects of a registry, by the registry's number.
    Projects(i64),
    /// A project, by its number.
    Project(i64),
}

/// What a page was made of. The URL under which the server is reached is in pages too, and does not change while
/// it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PageKey {
    pub(super) subject: Subject,
    /// Counts the changes of the subject.
    pub(super) serial: i64,
    pub(super) format: Format,
}

/// A rendered page.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) plain: Bytes,
    /// The same compressed, when that is worth it.
    pub(super) gzip: Option<Bytes>,
}

impl Rendered {
    /// Compresses a page; takes a while for a large one.
    pub(super) fn new(plain: Vec<u8>) -> Self {
        let gzip = if plain.len() < COMPRESS_BYTES { None } else { compress(&plain) };
        Self { plain: plain.into(), gzip }
    }
}

fn compress(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::default());
    // Writing to memory cannot fail; without the compressed form the plain one is sent.
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().filter(|compressed| compressed.len() < plain.len()).map(Bytes::from)
}

#[derive(Clone, Debug)]
struct Weigh;

impl Weighter<PageKey, Arc<Rendered>> for Weigh {
    fn weight(&self, _: &PageKey, page: &Arc<Rendered>) -> u64 {
        /// What an entry takes beside its text.
        const ENTRY_BYTES: usize = 256;
        (ENTRY_BYTES + page.plain.len() + page.gzip.as_ref().map_or(0, Bytes::len)) as u64
    }
}

/// The pages that are kept.
pub(crate) struct Pages(Cache<PageKey, Arc<Rendered>, Weigh>);

impl Pages {
    /// None yet.
    pub(crate) fn new() -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(EXPECTED_PAGES)
            .weight_capacity(CACHE_BYTES)
            .shards(PARTS)
            .build()
            .expect("both capacities are given");
        Self(Cache::with_options(options, Weigh, DefaultHashBuilder::default(), DefaultLifecycle::default()))
    }

    /// A page, rendered now if it is not there. Those who ask for the same one meanwhile wait for it.
    pub(super) async fn get<E>(
        &self,
        key: PageKey,
        render: impl Future<Output = Result<Arc<Rendered>, E>>,
    ) -> Result<Arc<Rendered>, E> {
        self.0.get_or_insert_async(&key, render).await
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Read as _;

    use super::*;

    fn key(serial: i64) -> PageKey {
        PageKey { subject: Subject::Project(1), serial, format: Format::Json }
    }

    #[tokio::test]
    async fn a_page_is_rendered_once_for_each_serial() {
        let pages = Pages::new();
        let render = async |key, text: &str| -> Result<Arc<Rendered>, Infallible> {
            let text = text.as_bytes().to_vec();
            pages.get(key, async { Ok(Arc::new(Rendered::new(text))) }).await
        };
        assert_eq!(render(key(1), "first").await.unwrap().plain, "first");
        assert_eq!(render(key(1), "second").await.unwrap().plain, "first");
        assert_eq!(render(key(2), "third").await.unwrap().plain, "third");
        let failed = pages.get(key(3), async { Err("no database") }).await;
        assert_eq!(failed.err(), Some("no database"));
        assert_eq!(render(key(3), "again").await.unwrap().plain, "again");
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let pages = Pages::new();
        for serial in 0..200 {
            let page = Rendered { plain: vec![0; 1024 * 1024].into(), gzip: None };
            let _ = pages.get(key(serial), async { Ok::<_, Infallible>(Arc::new(page)) }).await;
        }
        assert!(pages.0.weight() <= CACHE_BYTES);
        assert!(pages.0.weight() > CACHE_BYTES / 2);
    }

    #[test]
    fn long_pages_are_compressed() {
        assert!(Rendered::new(b"short".to_vec()).gzip.is_none());
        let long = "<a href=\"x\">x</a>\n".repeat(1000).into_bytes();
        let page = Rendered::new(long.clone());
        let gzip = page.gzip.unwrap();
        assert!(gzip.len() * 10 < long.len());
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, long);
    }
}
