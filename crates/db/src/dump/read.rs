//! Reading the lines of a dump, and noticing when something is wrong with them.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read};

use flate2::bufread::GzDecoder;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::cell::Found;
use super::{DumpError, FORMAT, Header, MARK, Marker, Summary, Table};
use crate::Value;

/// The longest line: a manifest of 4 MiB in base64 has a tenth of it.
const LINE: usize = 64 * 1024 * 1024;

/// What the first line has in every format.
#[derive(Deserialize)]
struct Mark {
    larder: String,
    format: u32,
}

/// What comes next in a dump.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A table begins.
    Table(Table),
    /// A row of the table that began last, with as many values as that has columns.
    Row(Vec<Value>),
    /// The last number that each table's key was given.
    Sequences(BTreeMap<String, i64>),
}

/// A dump that is being read. What [`next`](Self::next) gave counts only once it came to the end.
pub struct Reader<R: Read> {
    lines: BufReader<GzDecoder<BufReader<R>>>,
    header: Header,
    whole: Sha256,
    content: Sha256,
    line: Vec<u8>,
    rows: BTreeMap<String, u64>,
    columns: usize,
    table: Option<String>,
    in_table: u64,
    summary: Option<Summary>,
}

impl<R: Read> Reader<R> {
    /// Reads the first line.
    pub fn open(source: R) -> Result<Self, DumpError> {
        let source = BufReader::with_capacity(256 * 1024, source);
        let mut reader = Self {
            lines: BufReader::with_capacity(256 * 1024, GzDecoder::new(source)),
            header: Header {
                larder: String::new(),
                format: 0,
                schema: 0,
                written_at: String::new(),
                engine: String::new(),
                store: String::new(),
            },
            whole: Sha256::new(),
            content: Sha256::new(),
            line: Vec::new(),
            rows: BTreeMap::new(),
            columns: 0,
            table: None,
            in_table: 0,
            summary: None,
        };
        match reader.next_line() {
            Err(DumpError::Damaged(_)) => return Err(DumpError::Foreign),
            other => other?,
        }
        // A later format may have another header.
        let mark: Mark = serde_json::from_slice(&reader.line).map_err(|_| DumpError::Foreign)?;
        if mark.larder != MARK {
            return Err(DumpError::Foreign);
        }
        if mark.format > FORMAT {
            let (found, known) = (mark.format.into(), FORMAT.into());
            return Err(DumpError::TooNew { what: "format", found, known });
        }
        reader.header = serde_json::from_slice(&reader.line).map_err(|error| damaged("its header", error))?;
        reader.whole.update(&reader.line);
        Ok(reader)
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What comes next. `None` is the end, and that everything before it is as it was written.
    #[expect(clippy::should_implement_trait, reason = "an iterator could go on after an error")]
    pub fn next(&mut self) -> Result<Option<Entry>, DumpError> {
        if self.summary.is_some() {
            return Ok(None);
        }
        self.next_line()?;
        if self.line.first() == Some(&b'[') {
            let row: Vec<Found> = self.parse("a row")?;
            if self.table.is_none() || row.len() != self.columns {
                return Err(DumpError::Damaged("a row does not belong to a table".to_owned()));
            }
            self.in_table += 1;
            self.hash();
            return Ok(Some(Entry::Row(row.into_iter().map(|found| found.0).collect())));
        }
        let marker: Marker = self.parse("a line")?;
        if let Some(table) = self.table.take() {
            self.rows.insert(table, std::mem::take(&mut self.in_table));
        }
        Ok(match marker {
            Marker::Table(table) => {
                self.hash();
                self.columns = table.columns.len();
                self.table = Some(table.name.clone());
                Some(Entry::Table(table))
            }
            Marker::Sequences(sequences) => {
                self.hash();
                Some(Entry::Sequences(sequences))
            }
            Marker::End(end) => {
                if end.rows != self.rows || end.sha256 != hex::encode(self.whole.clone().finalize()) {
                    return Err(DumpError::Damaged("its content is not what was written".to_owned()));
                }
                self.expect_end()?;
                let (header, rows) = (self.header.clone(), std::mem::take(&mut self.rows));
                let content = self.content.clone().finalize().into();
                self.summary = Some(Summary { header, rows, content });
                None
            }
        })
    }

    /// Reads what is left and says what is in the dump, or that it is damaged.
    pub fn finish(mut self) -> Result<Summary, DumpError> {
        while self.next()?.is_some() {}
        Ok(self.summary.expect("the end of a dump sets its summary"))
    }

    fn hash(&mut self) {
        self.whole.update(&self.line);
        self.content.update(&self.line);
    }

    fn parse<'line, T: Deserialize<'line>>(&'line self, what: &str) -> Result<T, DumpError> {
        serde_json::from_slice(&self.line).map_err(|error| damaged(what, error))
    }

    fn next_line(&mut self) -> Result<(), DumpError> {
        self.line.clear();
        let mut line = (&mut self.lines).take(LINE as u64);
        line.read_until(b'\n', &mut self.line).map_err(unreadable)?;
        match self.line.last() {
            Some(b'\n') => Ok(()),
            _ => Err(DumpError::Damaged("it ends in the middle".to_owned())),
        }
    }

    /// Nothing may follow: neither inside the compressed part, whose own check is made by reading to its end,
    /// nor after it.
    fn expect_end(&mut self) -> Result<(), DumpError> {
        let inside = self.lines.fill_buf().map_err(unreadable)?.is_empty();
        let after = inside && self.lines.get_mut().get_mut().fill_buf()?.is_empty();
        if after { Ok(()) } else { Err(DumpError::Damaged("something follows its end".to_owned())) }
    }
}

fn damaged(what: &str, error: impl std::fmt::Display) -> DumpError {
    DumpError::Damaged(format!("{what} cannot be read ({error})"))
}

/// What the decompressor says of damaged input is no failure of the disk.
fn unreadable(error: io::Error) -> DumpError {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error.kind() {
        UnexpectedEof => DumpError::Damaged("it ends in the middle".to_owned()),
        InvalidData | InvalidInput => damaged("it", error),
        _ => DumpError::Io(error),
    }
}
