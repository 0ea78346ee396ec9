//! Writing the lines of a dump.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::cell::Written;
use super::{End, Header, Marker, Summary, Table};
use crate::Column;

/// A dump that is being written.
pub(crate) struct Writer<W: Write> {
    out: GzEncoder<BufWriter<W>>,
    header: Header,
    /// Over everything, and over everything but the header.
    whole: Sha256,
    content: Sha256,
    line: Vec<u8>,
    rows: BTreeMap<String, u64>,
    table: String,
    in_table: u64,
}

impl<W: Write> Writer<W> {
    pub(crate) fn begin(sink: W, header: Header) -> io::Result<Self> {
        // Fast, because a server does this beside its work.
        let out = GzEncoder::new(BufWriter::with_capacity(256 * 1024, sink), Compression::fast());
        let mut writer = Self {
            out,
            whole: Sha256::new(),
            content: Sha256::new(),
            line: Vec::new(),
            rows: BTreeMap::new(),
            table: String::new(),
            in_table: 0,
            header,
        };
        writer.encode(&writer.header.clone())?;
        writer.whole.update(&writer.line);
        writer.out.write_all(&writer.line)?;
        Ok(writer)
    }

    /// Begins a table.
    pub(crate) fn table(&mut self, table: Table) -> io::Result<()> {
        self.count();
        self.table.clone_from(&table.name);
        self.write(&Marker::Table(table))
    }

    /// A row of the present table.
    pub(crate) fn row<'a>(&mut self, columns: impl Iterator<Item = Column<'a>>) -> io::Result<()> {
        self.in_table += 1;
        let cells: Vec<Written<'_>> = columns.map(Written).collect();
        self.write(&cells)
    }

    /// The end of all tables: the last numbers that their keys were given.
    pub(crate) fn sequences(&mut self, sequences: BTreeMap<String, i64>) -> io::Result<()> {
        self.count();
        self.write(&Marker::Sequences(sequences))
    }

    pub(crate) fn finish(mut self) -> io::Result<(Summary, W)> {
        let sha256 = hex::encode(self.whole.clone().finalize());
        self.encode(&Marker::End(End { rows: self.rows.clone(), sha256 }))?;
        self.out.write_all(&self.line)?;
        let mut buffer = self.out.finish()?;
        buffer.flush()?;
        let sink = buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
        let summary =
            Summary { header: self.header, rows: self.rows, content: self.content.finalize().into() };
        Ok((summary, sink))
    }

    fn count(&mut self) {
        if !self.table.is_empty() {
            self.rows.insert(std::mem::take(&mut self.table), std::mem::take(&mut self.in_table));
        }
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.encode(line)?;
        self.whole.update(&self.line);
        self.content.update(&self.line);
        self.out.write_all(&self.line)
    }

    fn encode(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        Ok(())
    }
}
