use db::{Db, Value};

use super::*;
use crate::testing::{Setup, setup};

async fn run(db: &Db, sql: &'static str, values: Vec<Value>) {
    let written: Result<u64, db::Error> =
        db.write(Durability::Durable, move |tx| Box::pin(async move { tx.exec(sql, &values).await })).await;
    written.unwrap();
}

async fn link(setup: &Setup, user_id: i64, provider: &str, subject: &str) {
    let values = params![format!("https://{provider}.example.com"), subject, user_id, provider].to_vec();
    run(
        &setup.db,
        "INSERT INTO identities (issuer, subject, user_id, provider, email, linked_at, last_used_at) \
         VALUES ($1, $2, $3, $4, '', 1, 2)",
        values,
    )
    .await;
    run(
        &setup.db,
        "INSERT INTO user_groups (user_id, provider, group_name) VALUES ($1, $2, 'g') ON CONFLICT DO NOTHING",
        params![user_id, provider].to_vec(),
    )
    .await;
}

async fn groups(setup: &Setup, user_id: i64) -> usize {
    let rows: Vec<(String,)> = setup
        .db
        .all("SELECT group_name FROM user_groups WHERE user_id = $1", params![user_id])
        .await
        .unwrap();
    rows.len()
}

#[tokio::test]
async fn accounts_are_listed_and_unlinked_by_their_owner() {
    let setup = setup().await;
    let (alice, bob) = (setup.user("alice").await, setup.user("bob").await);
    link(&setup, alice.id, "one", "1").await;
    link(&setup, alice.id, "two", "1").await;
    link(&setup, alice.id, "two", "2").await;
    let listed = setup.auth.identity_list(alice.id).await.unwrap();
    let names: Vec<_> = listed.iter().map(|view| (view.provider.as_str(), view.subject.as_str())).collect();
    assert_eq!(names, [("one", "1"), ("two", "1"), ("two", "2")]);
    assert_eq!((listed[0].linked_at.as_millis(), listed[0].last_used_at.as_millis()), (1, 2));
    assert!(setup.auth.identity_list(bob.id).await.unwrap().is_empty());

    let unlink = |user_id, provider: &str, subject: &'static str| {
        let issuer = format!("https://{provider}.example.com");
        let auth = setup.auth.clone();
        async move { auth.identity_unlink(user_id, &issuer, subject).await }
    };
    assert!(matches!(unlink(bob.id, "one", "1").await, Err(AccountError::NotFound)));
    unlink(alice.id, "two", "1").await.unwrap();
    assert_eq!(groups(&setup, alice.id).await, 2);
    unlink(alice.id, "two", "2").await.unwrap();
    assert_eq!(groups(&setup, alice.id).await, 1);
    // There is a password still.
    unlink(alice.id, "one", "1").await.unwrap();
    assert_eq!(groups(&setup, alice.id).await, 0);
    assert!(matches!(unlink(alice.id, "one", "1").await, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn the_last_way_in_stays() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    run(&setup.db, "UPDATE users SET password_hash = NULL WHERE id = $1", params![alice.id].to_vec()).await;
    link(&setup, alice.id, "one", "1").await;
    let refused = setup.auth.identity_unlink(alice.id, "https://one.example.com", "1").await;
    assert!(matches!(refused, Err(AccountError::Invalid { field: "identity", .. })));
    assert_eq!(setup.auth.identity_list(alice.id).await.unwrap().len(), 1);
}
