//! Dumping from and loading into PostgreSQL.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use deadpool_postgres::{ClientWrapper, Object};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{IsolationLevel, Row, Transaction};

use super::Postgres;
use crate::dump::{
    About, DumpError, Entry, Header, LEFT_OUT, MADE_BY_START, Reader, Summary, Table, Writer, expect_known,
    in_order_of_keys, off_the_workers, quoted, quoted_list,
};
use crate::{Column, Error, Value, migrate};

/// How much travels at once between the connection and the file.
const BATCH_ROWS: usize = 500;
const BATCH_BYTES: usize = 1024 * 1024;
/// How many batches may wait for the slower side.
const BATCHES: usize = 4;
/// A dump takes as long as it takes.
const NO_LIMITS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
                         SET LOCAL idle_in_transaction_session_timeout = 0";

/// Tables and columns of the schema that the connection works in: (table, column, type, identity).
const COLUMNS: &str = "SELECT c.relname::text, a.attname::text, a.atttypid, a.attidentity <> ''
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
       AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
     ORDER BY c.relname::text, a.attnum";
/// The columns of their primary keys, in order: (table, column).
const PRIMARY_KEYS: &str = "SELECT c.relname::text, a.attname::text
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
     CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
     WHERE i.indisprimary
       AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
     ORDER BY c.relname::text, k.place";
/// Which tables their foreign keys name: (table, other table).
const REFERENCES: &str = "SELECT a.relname::text, b.relname::text
     FROM pg_constraint f JOIN pg_class a ON a.oid = f.conrelid JOIN pg_class b ON b.oid = f.confrelid
     WHERE f.contype = 'f'
       AND a.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())";
const LAST_NUMBER: &str = "SELECT pg_sequence_last_value(pg_get_serial_sequence($1, $2)::regclass)";
const SET_NUMBER: &str = "SELECT setval(pg_get_serial_sequence($1, $2)::regclass, $3)";

/// A table as the catalogue has it.
struct Described {
    name: String,
    columns: Vec<(String, Type)>,
    key: Vec<String>,
    /// The column that numbers the rows.
    identity: Option<String>,
}

impl Described {
    fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// What is sent to the thread that writes the file.
enum Piece {
    Table(Table),
    Rows(Vec<Row>),
    /// The end.
    Sequences(BTreeMap<String, i64>),
}

impl Postgres {
    /// See [`crate::Db::dump`].
    pub(crate) async fn dump<W>(&self, about: About, sink: W) -> Result<(Summary, W), DumpError>
    where
        W: Write + Send + 'static,
    {
        let mut client = self.own_client().await?;
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(Error::from_postgres)?;
        transaction.batch_execute(NO_LIMITS).await.map_err(Error::from_postgres)?;
        let schema = transaction
            .query_one("SELECT max(version) FROM larder_schema", &[])
            .await
            .map_err(Error::from_postgres)?
            .get(0);
        let header = Header::new(about, "postgres", schema);
        let (pieces, received) = mpsc::channel(BATCHES);
        let writing = tokio::spawn(off_the_workers(move || write_pieces(header, sink, received)));
        let sent = send_pieces(&transaction, &pieces).await;
        drop(pieces);
        let written = writing.await.map_err(io::Error::other)?;
        // When the file failed, the sender only says that nobody listens any more.
        match (sent, written) {
            (Err(error), Ok(_)) | (Err(error @ DumpError::Database(_)), Err(_)) => Err(error),
            (_, written) => written,
        }
    }

    /// See [`crate::Db::load`].
    pub(crate) async fn load<R>(&self, source: R, leave_out: &[&str]) -> Result<Summary, DumpError>
    where
        R: Read + Send + 'static,
    {
        let mut client = self.own_client().await?;
        let (entries, mut received) = mpsc::channel(BATCHES);
        let (header, opened) = tokio::sync::oneshot::channel();
        let reading = tokio::spawn(off_the_workers(move || {
            let mut reader = Reader::open(source)?;
            let _ = header.send(reader.header().clone());
            read_entries(&mut reader, &entries)?;
            reader.finish()
        }));
        let Ok(header) = opened.await else {
            return reading.await.map_err(io::Error::other)?;
        };
        let transaction = client.transaction().await.map_err(Error::from_postgres)?;
        let loaded = load_entries(&transaction, header.schema, &mut received, leave_out).await;
        // Ends the thread that reads, if it still does.
        drop(received);
        loaded?;
        let summary = reading.await.map_err(io::Error::other)??;
        transaction.commit().await.map_err(Error::from_postgres)?;
        Ok(summary)
    }

    /// See [`crate::Db::filled_table`].
    pub(crate) async fn filled_table(&self) -> Result<Option<String>, DumpError> {
        let mut client = self.own_client().await?;
        let transaction = client.transaction().await.map_err(Error::from_postgres)?;
        filled_table(&transaction).await
    }

    /// A connection that is closed afterwards, whatever state it is left in.
    async fn own_client(&self) -> Result<ClientWrapper, Error> {
        self.client().await.map(Object::take)
    }
}

fn write_pieces<W: Write>(
    header: Header,
    sink: W,
    mut received: mpsc::Receiver<Piece>,
) -> Result<(Summary, W), DumpError> {
    let mut writer = Writer::begin(sink, header)?;
    while let Some(piece) = received.blocking_recv() {
        match piece {
            Piece::Table(table) => writer.table(table)?,
            Piece::Rows(rows) => {
                for row in rows {
                    let cells = (0..row.len())
                        .map(|index| row.try_get(index).map_err(|_| Error::UnexpectedType { index }))
                        .collect::<Result<Vec<Column<'_>>, _>>()?;
                    writer.row(cells.into_iter())?;
                }
            }
            Piece::Sequences(sequences) => {
                writer.sequences(sequences)?;
                return Ok(writer.finish()?);
            }
        }
    }
    Err(DumpError::Io(io::ErrorKind::Interrupted.into()))
}

async fn send_pieces(transaction: &Transaction<'_>, pieces: &mpsc::Sender<Piece>) -> Result<(), DumpError> {
    let gone = |_| DumpError::Io(io::ErrorKind::BrokenPipe.into());
    let tables = described(transaction).await?;
    let mut sequences = BTreeMap::new();
    for table in &tables {
        let columns = table.column_names();
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {}",
            quoted_list(&columns),
            quoted(&table.name),
            quoted_list(&table.key)
        );
        pieces.send(Piece::Table(Table { name: table.name.clone(), columns })).await.map_err(gone)?;
        let rows = transaction
            .query_raw::<_, &(dyn ToSql + Sync), _>(&sql, [])
            .await
            .map_err(Error::from_postgres)?;
        let mut rows = std::pin::pin!(rows);
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next().await {
            let row = row.map_err(Error::from_postgres)?;
            bytes += row.raw_size_bytes();
            batch.push(row);
            if batch.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
                pieces.send(Piece::Rows(std::mem::take(&mut batch))).await.map_err(gone)?;
                bytes = 0;
            }
        }
        pieces.send(Piece::Rows(batch)).await.map_err(gone)?;
        if let Some(identity) = &table.identity {
            let row = transaction
                .query_one(LAST_NUMBER, &[&quoted(&table.name), identity])
                .await
                .map_err(Error::from_postgres)?;
            if let Some(last) = row.get(0) {
                sequences.insert(table.name.clone(), last);
            }
        }
    }
    pieces.send(Piece::Sequences(sequences)).await.map_err(gone)
}

/// The tables that a dump holds, in the order of their foreign keys.
async fn described(transaction: &Transaction<'_>) -> Result<Vec<Described>, DumpError> {
    let mut tables: BTreeMap<String, Described> = BTreeMap::new();
    for row in transaction.query(COLUMNS, &[]).await.map_err(Error::from_postgres)? {
        let (name, column, kind, identity): (String, String, u32, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let kind = Type::from_oid(kind)
            .filter(|kind| [Type::INT8, Type::TEXT, Type::BYTEA].contains(kind))
            .ok_or_else(|| DumpError::Refused {
            table: name.clone(),
            reason: format!(
                "its column {column} is of a type that larder does not use; give larder a schema of its own"
            ),
        })?;
        let table = tables.entry(name.clone()).or_insert_with(|| Described {
            name,
            columns: Vec::new(),
            key: Vec::new(),
            identity: None,
        });
        table.identity = table.identity.take().or_else(|| identity.then(|| column.clone()));
        table.columns.push((column, kind));
    }
    for row in transaction.query(PRIMARY_KEYS, &[]).await.map_err(Error::from_postgres)? {
        if let Some(table) = tables.get_mut(row.get::<_, &str>(0)) {
            table.key.push(row.get(1));
        }
    }
    let references = transaction.query(REFERENCES, &[]).await.map_err(Error::from_postgres)?;
    let references: Vec<(String, String)> = references.iter().map(|row| (row.get(0), row.get(1))).collect();
    let order = in_order_of_keys(tables.keys().cloned().collect(), &references);
    Ok(order.iter().filter_map(|name| tables.remove(name)).collect())
}

async fn filled_table(transaction: &Transaction<'_>) -> Result<Option<String>, DumpError> {
    for table in described(transaction).await? {
        if MADE_BY_START.contains(&table.name.as_str()) {
            continue;
        }
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(&table.name));
        if transaction.query_one(&sql, &[]).await.map_err(Error::from_postgres)?.get(0) {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}

/// Sends what is in a dump to the connection, in batches. That the connection has gone is for it to explain.
fn read_entries<R: Read>(
    reader: &mut Reader<R>,
    entries: &mpsc::Sender<Vec<Entry>>,
) -> Result<(), DumpError> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(entry) = reader.next()? {
        if let Entry::Row(values) = &entry {
            bytes += values.iter().map(size).sum::<usize>();
        }
        batch.push(entry);
        if batch.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            bytes = 0;
            if entries.blocking_send(std::mem::take(&mut batch)).is_err() {
                return Ok(());
            }
        }
    }
    let _ = entries.blocking_send(batch);
    Ok(())
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Integer(_) => 8,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
    }
}

async fn load_entries(
    transaction: &Transaction<'_>,
    schema: i64,
    received: &mut mpsc::Receiver<Vec<Entry>>,
    leave_out: &[&str],
) -> Result<(), DumpError> {
    let execute = async |sql: &str| transaction.batch_execute(sql).await.map_err(Error::from_postgres);
    execute(NO_LIMITS).await?;
    // Whoever starts now waits until the rows are there, and nobody writes between the question and the answer.
    execute("LOCK TABLE larder_schema IN ACCESS EXCLUSIVE MODE").await?;
    let names: Vec<String> = described(transaction).await?.into_iter().map(|table| table.name).collect();
    execute(&format!("LOCK TABLE {} IN EXCLUSIVE MODE", quoted_list(&names))).await?;
    if let Some(table) = filled_table(transaction).await? {
        return Err(DumpError::NotEmpty { table });
    }
    if expect_known(schema)? {
        let all: Vec<String> =
            names.iter().cloned().chain(["blob_store", "leases"].map(str::to_owned)).collect();
        execute(&format!("DROP TABLE IF EXISTS {} CASCADE", quoted_list(&all))).await?;
        for (_, _, sql) in migrate::texts().filter(|(version, ..)| *version <= schema) {
            execute(sql).await?;
        }
    }
    let tables = described(transaction).await?;
    for table in tables.iter().filter(|table| MADE_BY_START.contains(&table.name.as_str())) {
        execute(&format!("DELETE FROM {}", quoted(&table.name))).await?;
    }
    copy_in(transaction, &tables, received, leave_out).await?;
    for (_, _, sql) in migrate::texts().filter(|(version, ..)| *version > schema) {
        execute(sql).await?;
    }
    Ok(())
}

/// A table that rows are being copied into.
struct Copying {
    table: String,
    writer: std::pin::Pin<Box<BinaryCopyInWriter>>,
}

impl Copying {
    async fn finish(mut self) -> Result<(), DumpError> {
        self.writer.as_mut().finish().await.map(|_| ()).map_err(|error| refused(&self.table, error))
    }
}

async fn copy_in(
    transaction: &Transaction<'_>,
    tables: &[Described],
    received: &mut mpsc::Receiver<Vec<Entry>>,
    leave_out: &[&str],
) -> Result<(), DumpError> {
    let mut copying: Option<Copying> = None;
    while let Some(batch) = received.recv().await {
        for entry in batch {
            match entry {
                Entry::Row(values) => {
                    let Some(Copying { table, writer }) = &mut copying else { continue };
                    let values: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
                    writer.as_mut().write(&values).await.map_err(|error| refused(table, error))?;
                }
                Entry::Table(table) => {
                    if let Some(previous) = copying.take() {
                        previous.finish().await?;
                    }
                    if !leave_out.contains(&table.name.as_str()) {
                        copying = Some(copy_begin(transaction, tables, table).await?);
                    }
                }
                Entry::Sequences(sequences) => {
                    if let Some(previous) = copying.take() {
                        previous.finish().await?;
                    }
                    sequences_set(transaction, tables, &sequences).await?;
                }
            }
        }
    }
    match copying {
        Some(previous) => previous.finish().await,
        None => Ok(()),
    }
}

async fn copy_begin(
    transaction: &Transaction<'_>,
    tables: &[Described],
    table: Table,
) -> Result<Copying, DumpError> {
    let Table { name, columns } = table;
    let described = tables.iter().find(|described| described.name == name);
    let types: Option<Vec<Type>> = described.and_then(|described| {
        let kind_of = |column: &String| described.columns.iter().find(|(name, _)| name == column);
        columns.iter().map(|column| kind_of(column).map(|(_, kind)| kind.clone())).collect()
    });
    let types = types
        .ok_or_else(|| DumpError::Damaged(format!("the schema has no table {name} like the one in it")))?;
    let sql = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", quoted(&name), quoted_list(&columns));
    let sink = transaction.copy_in(&sql).await.map_err(|error| refused(&name, error))?;
    Ok(Copying { table: name, writer: Box::pin(BinaryCopyInWriter::new(sink, &types)) })
}

async fn sequences_set(
    transaction: &Transaction<'_>,
    tables: &[Described],
    sequences: &BTreeMap<String, i64>,
) -> Result<(), Error> {
    for table in tables {
        if let (Some(identity), Some(last)) = (&table.identity, sequences.get(&table.name)) {
            transaction
                .query_one(SET_NUMBER, &[&quoted(&table.name), identity, last])
                .await
                .map_err(Error::from_postgres)?;
        }
    }
    Ok(())
}

fn refused(table: &str, error: tokio_postgres::Error) -> DumpError {
    match error.as_db_error() {
        Some(said) => DumpError::Refused { table: table.to_owned(), reason: said.message().to_owned() },
        None => DumpError::Database(Error::from_postgres(error)),
    }
}
