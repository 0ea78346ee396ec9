//! Everything at once: pushes, mounts, deletions and several collectors over the same few blobs and tags, with no
//! time of grace at all.

use std::collections::BTreeMap;
use std::time::Duration;

use access::{AccountKind, Limit, Principal, UserPrincipal};
use bytes::Bytes;
use clock::Clock;
use db::{Db, params};
use oci::{Algorithm, Digest, Reference, RepositoryName, Tag};

use crate::error::ErrorKind;
use crate::grant::{Delete, Pull, Push};
use crate::{Caller, Error, Registry, Settings};

const REPOSITORIES: [&str; 2] = ["acme/prod/one", "acme/prod/two"];
const BLOBS: u64 = 4;
const TAGS: u64 = 2;
const WORKERS: u64 = 8;
const COLLECTORS: u64 = 3;
const ROUNDS: u64 = 25;

async fn registry() -> (Registry, Db, (db::testing::Guard, tempfile::TempDir)) {
    let (db, database) = db::testing::temporary().await;
    let folder = tempfile::tempdir().unwrap();
    let options = blobs::Options {
        location: blobs::Location::Disk(folder.path().join("store")),
        durability: blobs::Durability::Relaxed,
    };
    let store = blobs::Store::open(&options).await.unwrap();
    let settings = Settings {
        grace: Duration::ZERO,
        trash_delay: Duration::ZERO,
        collect_untagged: true,
        ..Settings::default()
    };
    let registry = Registry::new(db.clone(), store, Clock::system(), settings);
    db.write::<(), db::Error, _>(db::Durability::Relaxed, |transaction| {
        Box::pin(async move {
            for sql in [
                "INSERT INTO users (id, username, email, created_at) VALUES (1, 'ada', 'ada@example.com', 0)",
                "INSERT INTO organizations (id, name, created_at) VALUES (1, 'acme', 0)",
                "INSERT INTO organization_members (organization_id, user_id, role) VALUES (1, 1, 'admin')",
                "INSERT INTO registries (id, organization_id, name, path, visibility, created_at)
                 VALUES (1, 1, 'prod', 'acme/prod/', 'private', 0)",
            ] {
                transaction.exec(sql, &[]).await?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
    (registry, db, (database, folder))
}

fn ada() -> Caller {
    Caller {
        principal: Principal::User(UserPrincipal {
            id: 1,
            name: "ada".into(),
            system_admin: false,
            kind: AccountKind::Person,
        }),
        limit: Limit::NONE,
    }
}

fn blob(number: u64) -> (Bytes, Digest) {
    let bytes = Bytes::from(format!("blob {number}"));
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    (bytes, digest)
}

fn manifest(config: u64, layer: u64) -> (Bytes, Digest) {
    let descriptor = |number| {
        let (bytes, digest) = blob(number);
        serde_json::json!({ "mediaType": "application/octet-stream", "digest": digest.as_str(), "size": bytes.len() })
    };
    let body = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor(config),
        "layers": [descriptor(layer)],
    });
    let body = Bytes::from(body.to_string());
    let digest = Digest::of(Algorithm::Sha256, &body);
    (body, digest)
}

/// One thing that a client may do.
async fn step(registry: &Registry, dice: u64) -> Result<(), Error> {
    let caller = ada();
    let roll = |place: u32, sides: u64| (dice >> (8 * place)) % sides;
    let name: RepositoryName = REPOSITORIES[usize::from(roll(1, 2) == 1)].parse().unwrap();
    let other: RepositoryName = REPOSITORIES[usize::from(roll(1, 2) == 0)].parse().unwrap();
    let tag: Tag = format!("tag{}", roll(2, TAGS)).parse().unwrap();
    let (bytes, digest) = blob(roll(3, BLOBS));
    let (body, manifest) = manifest(roll(4, BLOBS), roll(5, BLOBS));
    match roll(0, 10) {
        0..=2 => {
            let granted = registry.authorize::<Push>(&caller, &name).await?;
            let body = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
            registry.blob_push(&granted, &digest, body).await.map(|_| ())
        }
        3..=5 => {
            let granted = registry.authorize::<Push>(&caller, &name).await?;
            let reference = if roll(6, 2) == 0 { Reference::Tag(tag) } else { Reference::Digest(manifest) };
            let kind = Some("application/vnd.oci.image.manifest.v1+json");
            registry.manifest_push(&granted, &reference, &[], kind, body).await.map(|_| ())
        }
        6 => {
            let granted = registry.authorize::<Push>(&caller, &name).await?;
            let source = registry.authorize::<Pull>(&caller, &other).await?;
            let source = if roll(6, 2) == 0 { Some(&source) } else { None };
            registry.blob_mount(&granted, &digest, source).await.map(|_| ())
        }
        7 => {
            let granted = registry.authorize::<Delete>(&caller, &name).await?;
            let reference = if roll(6, 2) == 0 { Reference::Tag(tag) } else { Reference::Digest(manifest) };
            registry.manifest_delete(&granted, &reference).await
        }
        8 => {
            let granted = registry.authorize::<Delete>(&caller, &name).await?;
            registry.blob_delete(&granted, &digest).await
        }
        _ => {
            let granted = registry.authorize::<Pull>(&caller, &name).await?;
            registry.blob_stat(&granted, &digest).await.map(|_| ())
        }
    }
}

fn is_honest(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound(_) | ErrorKind::ManifestBlobUnknown { .. } | ErrorKind::Forbidden
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i2_what_is_named_stays_whoever_collects() {
    let (registry, db, _guard) = registry().await;
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let registry = registry.clone();
        workers.spawn(async move {
            for round in 0..ROUNDS {
                // Any sequence will do that is the same in each run.
                let dice = (worker * ROUNDS + round + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
                if let Err(error) = step(&registry, dice.wrapping_mul(0xBF58_476D_1CE4_E5B9)).await {
                    assert!(is_honest(&error), "{error:?}");
                }
            }
        });
    }
    for _ in 0..COLLECTORS {
        let registry = registry.clone();
        workers.spawn(async move {
            for _ in 0..ROUNDS {
                registry.collect(crate::Pace::Fast).await.unwrap();
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
    registry.collect(crate::Pace::Fast).await.unwrap();
    let unlinked: Vec<(String,)> = rows(
        &db,
        "SELECT /* walks */ e.digest FROM edges e
         WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.repository_id = e.repository_id AND b.digest = e.digest)",
    )
    .await;
    assert_eq!(unlinked, [], "a manifest names what is gone");
    let unnamed: Vec<(String,)> = rows(
        &db,
        "SELECT /* walks */ b.digest FROM blobs b
         WHERE NOT EXISTS (SELECT 1 FROM edges e WHERE e.repository_id = b.repository_id AND e.digest = b.digest)",
    )
    .await;
    assert_eq!(unnamed, [], "garbage stays for ever");
    let untagged: Vec<(String,)> = rows(
        &db,
        "SELECT /* walks */ m.digest FROM manifests m WHERE NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)",
    )
    .await;
    assert_eq!(untagged, [], "garbage stays for ever");
    let objects: Vec<(String,)> = rows(
        &db,
        "SELECT /* walks */ o.key FROM objects o WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.object_id = o.id)",
    )
    .await;
    assert_eq!(objects, [], "bytes that nobody can reach stay for ever");
    tags_are_as_their_history_says(&db).await;
}

async fn tags_are_as_their_history_says(db: &Db) {
    let tags: Vec<(i64, String, String)> = rows(
        db,
        "SELECT /* walks */ t.repository_id, t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id",
    )
    .await;
    let history: Vec<(i64, String, Option<String>)> =
        rows(db, "SELECT /* walks */ repository_id, name, digest FROM tag_history ORDER BY id").await;
    let last: BTreeMap<(i64, String), String> = history
        .into_iter()
        .map(|(repository, name, digest)| ((repository, name), digest))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .filter_map(|(place, digest)| digest.map(|digest| (place, digest)))
        .collect();
    let now: BTreeMap<(i64, String), String> =
        tags.into_iter().map(|(repository, name, digest)| ((repository, name), digest)).collect();
    assert_eq!(now, last);
}

/// All rows of a statement that no index has to serve.
async fn rows<T: db::FromRow + Send + 'static>(db: &Db, sql: &'static str) -> Vec<T> {
    db.write::<_, db::Error, _>(db::Durability::Relaxed, move |transaction| {
        Box::pin(async move { transaction.all(sql, params![]).await })
    })
    .await
    .unwrap()
}
