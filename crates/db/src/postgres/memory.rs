//! The last answers, for the time in which the database cannot be asked.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::{Column, Error, Value};

/// How many bytes of answers are kept.
const ROOM: u64 = 64 * 1024 * 1024;
/// How many answers that is when they are small.
const ANSWERS: usize = 64 * 1024;

pub(super) struct Memory(Cache<Question, Answer, Bytes>);

/// A statement and what it was asked with.
type Question = (&'static str, Vec<Value>);

#[derive(Clone)]
struct Answer {
    row: Arc<[Value]>,
    asked: Instant,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Question, Answer> for Bytes {
    fn weight(&self, (_, params): &Question, answer: &Answer) -> u64 {
        const ENTRY: usize = 128;
        let values = params.iter().chain(answer.row.iter());
        (ENTRY + values.map(size).sum::<usize>()) as u64
    }
}

fn size(value: &Value) -> usize {
    let held = match value {
        Value::Null | Value::Integer(_) => 0,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
    };
    size_of::<Value>() + held
}

impl Memory {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(ANSWERS, ROOM, Bytes))
    }

    /// Notes what the database just said. That there is nothing is noted by forgetting what there was.
    pub(super) fn keep(
        &self,
        sql: &'static str,
        params: &[Value],
        asked: Instant,
        row: Option<&tokio_postgres::Row>,
    ) -> Result<(), Error> {
        let question = (sql, params.to_vec());
        let Some(row) = row else {
            self.0.remove(&question);
            return Ok(());
        };
        let row = (0..row.len())
            .map(|index| {
                let column: Column<'_> = row.try_get(index).map_err(|_| Error::UnexpectedType { index })?;
                Ok(column.to_value())
            })
            .collect::<Result<_, Error>>()?;
        self.0.insert(question, Answer { row, asked });
        Ok(())
    }

    /// The last answer, unless the question was put longer than `max_age` ago.
    pub(super) fn last(
        &self,
        sql: &'static str,
        params: &[Value],
        max_age: Duration,
    ) -> Option<Arc<[Value]>> {
        let answer = self.0.get(&(sql, params.to_vec()))?;
        (answer.asked.elapsed() <= max_age).then_some(answer.row)
    }
}
