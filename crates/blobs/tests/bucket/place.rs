//! Where a store of a test lies, and how content gets into it.

use std::convert::Infallible;
use std::time::Duration;

use blobs::{
    AppendLimits, AppendOutcome, ContentHash, Durability, Hashes, Location, ObjectKey, Options, Staged,
    StagedState, Store, SyncError,
};
use bytes::Bytes;
use futures_core::Stream;
use futures_util::TryStreamExt;
use futures_util::stream::iter;
use tempfile::TempDir;

/// The variable with the URL of the bucket that the tests share.
pub(crate) const URL: &str = "LARDER_TEST_BUCKET_URL";
/// The variable with the address of its server.
pub(crate) const ADDRESS: &str = "LARDER_TEST_BUCKET_ADDRESS";

pub(crate) const LIMITS: AppendLimits = AppendLimits { length: None, idle: Duration::from_secs(20) };
pub(crate) const MEBIBYTE: usize = 1024 * 1024;

/// A place for one store.
pub(crate) struct Place {
    pub(crate) options: Options,
    _folder: Option<TempDir>,
}

impl Place {
    pub(crate) fn disk() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Disk(folder.path().join("store"));
        Self { options: Options { location, durability: Durability::Durable }, _folder: Some(folder) }
    }

    /// A prefix of its own in the bucket.
    pub(crate) fn bucket() -> Self {
        Self::at(&std::env::var(URL).expect("the test is started by `suite`"))
    }

    /// The same through another port.
    pub(crate) fn bucket_through(port: u16) -> (Self, Self) {
        let url = std::env::var(URL).expect("the test is started by `suite`");
        let address = std::env::var(ADDRESS).expect("the test is started by `suite`");
        let straight = Self::at(&url);
        let Location::Url(url) = &straight.options.location else { panic!("a bucket has a URL") };
        let location = Location::Url(url.replace(&address, &format!("127.0.0.1:{port}")));
        let through = Self { options: Options { location, ..straight.options.clone() }, _folder: None };
        (straight, through)
    }

    fn at(url: &str) -> Self {
        let (before, parameters) = url.split_once('?').expect("the URL names the endpoint");
        let location = Location::Url(format!("{before}/{}?{parameters}", ObjectKey::random()));
        Self { options: Options { location, durability: Durability::Durable }, _folder: None }
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(&self.options).await.unwrap()
    }

    pub(crate) fn is_bucket(&self) -> bool {
        matches!(self.options.location, Location::Url(_))
    }
}

/// Content in which every offset can be told from its neighbours.
pub(crate) fn content(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|index| (index + seed).wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect()
}

pub(crate) fn nothing() -> ContentHash {
    ContentHash::new(Hashes::Sha256)
}

pub(crate) fn hash_of(content: &[u8]) -> ContentHash {
    let mut hash = nothing();
    hash.update(content);
    hash
}

pub(crate) fn frames(content: &[u8]) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin + use<> {
    iter(content.chunks(100_000).map(|frame| Ok(Bytes::copy_from_slice(frame))).collect::<Vec<_>>())
}

/// Appends all of the content, and gives the hash after it.
pub(crate) async fn append(staged: &mut Staged, hash: ContentHash, content: &[u8]) -> ContentHash {
    let appended = staged.append(hash, LIMITS, frames(content)).await;
    assert!(matches!(appended.outcome, AppendOutcome::Complete), "{:?}", appended.outcome);
    assert_eq!(appended.written, content.len() as u64);
    appended.hash
}

/// One request that appends and keeps, as another process would see it.
pub(crate) async fn chunk(
    place: &Place,
    key: &ObjectKey,
    (hash, state): (ContentHash, StagedState),
    content: &[u8],
) -> (ContentHash, StagedState) {
    let store = Store::attach(&place.options).await.unwrap();
    let mut staged = store.stage(key, &state).await.unwrap();
    let hash = append(&mut staged, hash, content).await;
    let state = staged.keep().await.unwrap();
    (ContentHash::from_bytes(&hash.to_bytes()).unwrap(), StagedState::from_bytes(state.into_bytes()))
}

/// Writes an object in one request.
pub(crate) async fn write(store: &Store, key: &ObjectKey, content: &[u8]) -> Result<(), SyncError> {
    let mut staged = store.stage(key, &StagedState::default()).await.unwrap();
    append(&mut staged, nothing(), content).await;
    staged.seal().await
}

/// The whole of an object.
pub(crate) async fn read(store: &Store, key: &ObjectKey) -> Vec<u8> {
    let size = store.size(key).await.unwrap().expect("the object is there");
    let reader = store.read(key, 0, size).await.unwrap();
    reader.try_collect::<Vec<_>>().await.unwrap().concat()
}

/// The keys of everything that uploads have left.
pub(crate) async fn left_over(store: &Store) -> Vec<ObjectKey> {
    let (mut listing, mut keys) = (store.list_staged(), Vec::new());
    loop {
        let batch = listing.next_batch().await.unwrap();
        if batch.is_empty() {
            return keys;
        }
        keys.extend(batch.into_iter().map(|listed| listed.key));
    }
}
