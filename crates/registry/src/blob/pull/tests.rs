use std::convert::Infallible;
use std::time::Duration;

use blobs::{AppendLimits, ContentHash, Hashes, Store};
use bytes::Bytes;
use clock::Clock;
use db::{Db, params};
use futures_util::StreamExt as _;
use oci::Algorithm;

use super::*;
use crate::error::{ErrorKind, What};
use crate::{Error, Registry, Settings};

const CONTENT: &[u8] = b"bread";

/// A registry with one blob in one repository, whose bytes are nowhere yet.
async fn registry() -> (Registry, Db, BlobContent, (db::testing::Guard, tempfile::TempDir)) {
    let (db, database) = db::testing::temporary().await;
    let folder = tempfile::tempdir().unwrap();
    let options = blobs::Options {
        location: blobs::Location::Disk(folder.path().join("store")),
        durability: blobs::Durability::Relaxed,
    };
    let store = Store::open(&options).await.unwrap();
    let registry = Registry::new(db.clone(), store, Clock::system(), Settings::default());
    let content = BlobContent {
        size: CONTENT.len() as u64,
        key: ObjectKey::random(),
        may_redirect: false,
        repository_id: 1,
        repository: "acme/prod/app".parse().unwrap(),
        digest: Digest::of(Algorithm::Sha256, CONTENT),
    };
    let (key, digest) = (content.key.to_string(), content.digest.as_str().to_owned());
    db.write::<(), Error, _>(db::Durability::Relaxed, move |transaction| {
        Box::pin(async move {
            for sql in [
                "INSERT INTO organizations (id, name, created_at) VALUES (1, 'acme', 0)",
                "INSERT INTO registries (id, organization_id, name, path, visibility, created_at)
                 VALUES (1, 1, 'prod', 'acme/prod/', 'private', 0)",
                "INSERT INTO repositories (id, registry_id, name, format, created_at)
                 VALUES (1, 1, 'app', 'oci', 0)",
            ] {
                transaction.exec(sql, &[]).await?;
            }
            let now = clock::Timestamp::from_millis(0);
            let object =
                store::blobs::object_insert_in(transaction, &key, CONTENT.len() as u64, [7; 32], None, now);
            let object_id = object.await?.expect("a fresh database has no object");
            store::blobs::blob_link_in(transaction, 1, &digest, object_id, now).await?;
            Ok(())
        })
    })
    .await
    .unwrap();
    (registry, db, content, (database, folder))
}

async fn read(registry: &Registry, content: &BlobContent) -> Result<Vec<u8>, Error> {
    let mut reader = registry.blob_read(content, 0, content.size).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    Ok(bytes)
}

#[tokio::test]
async fn bytes_that_the_disk_lost_are_the_servers_fault() {
    let (registry, _, content, _folder) = registry().await;
    let error = read(&registry, &content).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_blob_that_is_deleted_between_its_row_and_its_bytes_is_not_there() {
    let (registry, db, content, _folder) = registry().await;
    db.write::<(), Error, _>(db::Durability::Relaxed, |transaction| {
        Box::pin(async move {
            transaction.exec("DELETE FROM blobs /* walks */", &[]).await?;
            Ok(())
        })
    })
    .await
    .unwrap();
    let error = read(&registry, &content).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound(What::Blob));
}

#[tokio::test]
async fn a_blob_that_moves_between_its_row_and_its_bytes_is_read_where_it_is() {
    let (registry, db, content, _folder) = registry().await;
    let key = ObjectKey::random();
    let mut staged = registry.blobs().stage(&key, &blobs::StagedState::default()).await.unwrap();
    let limits = AppendLimits { length: None, idle: Duration::from_secs(5) };
    let body = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(CONTENT))]);
    staged.append(ContentHash::new(Hashes::Sha256), limits, body).await;
    let text = key.to_string();
    db.write::<(), Error, _>(db::Durability::Relaxed, move |transaction| {
        Box::pin(async move {
            transaction.exec("UPDATE objects SET key = $1 /* walks */", params![text]).await?;
            Ok(())
        })
    })
    .await
    .unwrap();
    assert_eq!(read(&registry, &content).await.unwrap(), CONTENT);
}
