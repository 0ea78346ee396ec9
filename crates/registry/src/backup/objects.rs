//! The objects that a dump names, read from it one after the other.

use std::fs::File;

use blobs::ObjectKey;
use db::Value;
use db::dump::{DumpError, Entry, Reader};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use super::dump_failed;
use crate::error::Error;

/// Objects read ahead of whoever copies them.
const AHEAD: usize = 256;

/// An object as a row of the dump has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) key: ObjectKey,
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
}

impl Object {
    /// The digest as people know it.
    pub(super) fn digest(&self) -> String {
        format!("sha256:{}", hex::encode(self.sha256))
    }
}

/// All objects of a dump that was verified before. Memory does not grow with their number.
pub(super) fn objects(dump: File) -> impl Stream<Item = Result<Object, Error>> + Send {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send(dump, &sender) {
            let _ = sender.blocking_send(Err(dump_failed("cannot read the dump")(error)));
        }
    });
    Box::pin(unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }))
}

fn send(dump: File, sender: &mpsc::Sender<Result<Object, Error>>) -> Result<(), DumpError> {
    let mut reader = Reader::open(dump)?;
    let mut places: Option<[usize; 3]> = None;
    while let Some(entry) = reader.next()? {
        match entry {
            Entry::Table(table) if table.name == "objects" => {
                let place = |name| table.columns.iter().position(|column| column == name);
                places = match (place("key"), place("size"), place("sha256")) {
                    (Some(key), Some(size), Some(sha256)) => Some([key, size, sha256]),
                    _ => {
                        return Err(DumpError::Damaged("its objects have no key, size or digest".to_owned()));
                    }
                };
            }
            Entry::Row(row) => {
                let Some(places) = places else { continue };
                let object = object(row, places)
                    .ok_or_else(|| DumpError::Damaged("a row of its objects is none".to_owned()))?;
                if sender.blocking_send(Ok(object)).is_err() {
                    return Ok(());
                }
            }
            Entry::Table(_) | Entry::Sequences(_) if places.is_some() => return Ok(()),
            Entry::Table(_) | Entry::Sequences(_) => {}
        }
    }
    Ok(())
}

fn object(mut row: Vec<Value>, places: [usize; 3]) -> Option<Object> {
    let [key, size, sha256] = places.map(|place| std::mem::replace(&mut row[place], Value::Null));
    match (key, size, sha256) {
        (Value::Text(key), Value::Integer(size), Value::Bytes(sha256)) => Some(Object {
            key: key.parse().ok()?,
            size: size.try_into().ok()?,
            sha256: sha256.try_into().ok()?,
        }),
        _ => None,
    }
}
