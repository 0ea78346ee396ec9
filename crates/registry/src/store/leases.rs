//! What one server does at a time, and which blob store the database belongs to.

use clock::Timestamp;
use db::{Db, Error, Transaction, params};

/// Takes or renews a lease. `false` while somebody else holds it.
pub(crate) async fn lease_take_in(
    transaction: &mut Transaction,
    name: &str,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, Error> {
    let taken = transaction
        .exec(
            "INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
             WHERE leases.until <= $4 OR leases.holder = excluded.holder",
            params![name, holder, until.as_millis(), now.as_millis()],
        )
        .await?;
    Ok(taken > 0)
}

/// Gives a lease back, if it is still the holder's.
pub(crate) async fn lease_release_in(
    transaction: &mut Transaction,
    name: &str,
    holder: &str,
) -> Result<u64, Error> {
    transaction.exec("DELETE FROM leases WHERE name = $1 AND holder = $2", params![name, holder]).await
}

/// Whether somebody holds a lease whose name lies between two texts, the second excluded.
pub(crate) async fn lease_between_is_held(
    db: &Db,
    from: &str,
    to: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let held: Option<(i64,)> = db
        .opt(
            "SELECT until FROM leases WHERE name >= $1 AND name < $2 AND until > $3 LIMIT 1",
            params![from, to, now.as_millis()],
        )
        .await?;
    Ok(held.is_some())
}

/// The store that the database belongs to: this one, when it belonged to none.
pub(crate) async fn blob_store_claim_in(
    transaction: &mut Transaction,
    identity: &str,
) -> Result<String, Error> {
    transaction
        .exec(
            "INSERT INTO blob_store (id, identity) VALUES (1, $1) ON CONFLICT (id) DO NOTHING",
            params![identity],
        )
        .await?;
    let (owner,) = transaction.one("SELECT identity FROM blob_store WHERE id = 1", &[]).await?;
    Ok(owner)
}

/// Makes the database belong to another store.
pub(crate) async fn blob_store_set_in(transaction: &mut Transaction, identity: &str) -> Result<u64, Error> {
    transaction
        .exec(
            "INSERT INTO blob_store (id, identity) VALUES (1, $1)
             ON CONFLICT (id) DO UPDATE SET identity = excluded.identity",
            params![identity],
        )
        .await
}
