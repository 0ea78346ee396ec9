//! Dumping from and loading into SQLite.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params_from_iter};

use crate::dump::{
    About, DumpError, Entry, Header, LEFT_OUT, MADE_BY_START, Reader, Summary, Table, Writer, expect_known,
    in_order_of_keys, quoted, quoted_list,
};
use crate::{Column, Error, migrate};

/// A connection to dump over. Those that are lent for reads map the file into memory, all of which a dump would
/// touch.
pub(crate) fn connect_reader(path: &str) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(Error::from_sqlite)?;
    connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(Error::from_sqlite)?;
    Ok(connection)
}

/// Writes everything that `connection` sees at this moment.
pub(crate) fn dump<W: Write>(
    connection: &Connection,
    about: About,
    sink: W,
) -> Result<(Summary, W), DumpError> {
    // One transaction sees one state. In the write-ahead log it stands in nobody's way.
    let transaction = connection.unchecked_transaction().map_err(Error::from_sqlite)?;
    let schema = transaction
        .query_row("SELECT max(version) FROM larder_schema", [], |row| row.get(0))
        .map_err(Error::from_sqlite)?;
    let mut writer = Writer::begin(sink, Header::new(about, "sqlite", schema))?;
    for name in tables(&transaction)? {
        let columns = columns(&transaction, &name)?;
        let order = quoted_list(&primary_key(&transaction, &name)?);
        let sql = format!("SELECT {} FROM {} ORDER BY {order}", quoted_list(&columns), quoted(&name));
        let width = columns.len();
        writer.table(Table { name: name.clone(), columns })?;
        let mut statement = transaction.prepare(&sql).map_err(Error::from_sqlite)?;
        let mut rows = statement.query([]).map_err(Error::from_sqlite)?;
        while let Some(row) = rows.next().map_err(Error::from_sqlite)? {
            let cells = (0..width).map(|index| column(row, index)).collect::<Result<Vec<_>, _>>()?;
            writer.row(cells.into_iter())?;
        }
    }
    writer.sequences(sequences(&transaction)?)?;
    Ok(writer.finish()?)
}

fn column<'a>(row: &'a rusqlite::Row<'_>, index: usize) -> Result<Column<'a>, Error> {
    Ok(match row.get_ref(index).map_err(Error::from_sqlite)? {
        ValueRef::Null => Column::Null,
        ValueRef::Integer(value) => Column::Integer(value),
        ValueRef::Text(text) => {
            Column::Text(std::str::from_utf8(text).map_err(|_| Error::UnexpectedType { index })?)
        }
        ValueRef::Blob(bytes) => Column::Bytes(bytes),
        ValueRef::Real(_) => return Err(Error::UnexpectedType { index }),
    })
}

/// The tables that a dump holds, in the order of their foreign keys.
fn tables(connection: &Connection) -> Result<Vec<String>, Error> {
    let names = strings(
        connection,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        "",
    )?;
    let names: Vec<String> = names.into_iter().filter(|name| !LEFT_OUT.contains(&name.as_str())).collect();
    let mut references = Vec::new();
    for name in &names {
        for target in strings(connection, "SELECT \"table\" FROM pragma_foreign_key_list(?1)", name)? {
            references.push((name.clone(), target));
        }
    }
    Ok(in_order_of_keys(names, &references))
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, Error> {
    strings(connection, "SELECT name FROM pragma_table_info(?1) ORDER BY cid", table)
}

fn primary_key(connection: &Connection, table: &str) -> Result<Vec<String>, Error> {
    strings(connection, "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk", table)
}

/// The single column of a query over the schema; `table` is its parameter if it has one.
fn strings(connection: &Connection, sql: &str, table: &str) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare_cached(sql).map_err(Error::from_sqlite)?;
    let parameters = if statement.parameter_count() == 0 { &[][..] } else { &[table][..] };
    let rows =
        statement.query_map(params_from_iter(parameters), |row| row.get(0)).map_err(Error::from_sqlite)?;
    rows.collect::<Result<_, _>>().map_err(Error::from_sqlite)
}

/// The last number that each table's key was given; numbers are never given twice.
fn sequences(connection: &Connection) -> Result<BTreeMap<String, i64>, Error> {
    let mut statement =
        connection.prepare("SELECT name, seq FROM sqlite_sequence").map_err(Error::from_sqlite)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(Error::from_sqlite)?;
    let all: BTreeMap<String, i64> = rows.collect::<Result<_, _>>().map_err(Error::from_sqlite)?;
    Ok(all.into_iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str())).collect())
}

/// A table that makes the database one that is in use.
pub(crate) fn filled_table(connection: &Connection) -> Result<Option<String>, DumpError> {
    for name in tables(connection)? {
        if MADE_BY_START.contains(&name.as_str()) {
            continue;
        }
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(&name));
        let filled: bool = connection.query_row(&sql, [], |row| row.get(0)).map_err(Error::from_sqlite)?;
        if filled {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Loads a dump into the database at `path`, on a connection of its own and in one transaction.
pub(crate) fn load<R: Read>(path: &str, source: R, leave_out: &[&str]) -> Result<Summary, DumpError> {
    let mut reader = Reader::open(source)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(Error::from_sqlite)?;
    connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(Error::from_sqlite)?;
    // Keys are checked once, at the end: that is faster, and makes the order of the rows no concern.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;")
        .map_err(Error::from_sqlite)?;
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Error::from_sqlite)?;
    if let Some(table) = filled_table(&transaction)? {
        return Err(DumpError::NotEmpty { table });
    }
    let schema = reader.header().schema;
    if expect_known(schema)? {
        set_back(&transaction, schema)?;
    }
    for table in tables(&transaction)?.iter().filter(|table| MADE_BY_START.contains(&table.as_str())) {
        transaction.execute(&format!("DELETE FROM {}", quoted(table)), []).map_err(Error::from_sqlite)?;
    }
    insert_all(&transaction, &mut reader, leave_out)?;
    for (_, sql, _) in migrate::texts().filter(|(version, ..)| *version > schema) {
        transaction.execute_batch(sql).map_err(Error::from_sqlite)?;
    }
    let dangling: Vec<String> =
        strings(&transaction, "SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1", "")?;
    if let Some(table) = dangling.first() {
        return Err(DumpError::Damaged(format!("a row of the table {table} names one that is not in it")));
    }
    let summary = reader.finish()?;
    transaction.commit().map_err(Error::from_sqlite)?;
    Ok(summary)
}

/// Makes the empty database one of an older schema.
fn set_back(transaction: &Transaction<'_>, schema: i64) -> Result<(), Error> {
    let all = strings(
        transaction,
        "SELECT name FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> 'larder_schema'",
        "",
    )?;
    for table in all {
        transaction.execute_batch(&format!("DROP TABLE {}", quoted(&table))).map_err(Error::from_sqlite)?;
    }
    for (_, sql, _) in migrate::texts().filter(|(version, ..)| *version <= schema) {
        transaction.execute_batch(sql).map_err(Error::from_sqlite)?;
    }
    Ok(())
}

fn insert_all<R: Read>(
    transaction: &Transaction<'_>,
    reader: &mut Reader<R>,
    leave_out: &[&str],
) -> Result<(), DumpError> {
    let known = tables(transaction)?;
    let mut present: Option<(String, rusqlite::Statement<'_>)> = None;
    while let Some(entry) = reader.next()? {
        match entry {
            Entry::Table(Table { name, columns }) => {
                present = None;
                if leave_out.contains(&name.as_str()) {
                    continue;
                }
                let its_own = self::columns(transaction, &name)?;
                if !known.contains(&name) || columns.iter().any(|column| !its_own.contains(column)) {
                    return Err(DumpError::Damaged(format!(
                        "the schema has no table {name} like the one in it"
                    )));
                }
                let places: Vec<String> = (1..=columns.len()).map(|index| format!("?{index}")).collect();
                let sql = format!(
                    "INSERT INTO {} ({}) VALUES ({})",
                    quoted(&name),
                    quoted_list(&columns),
                    places.join(", ")
                );
                present = Some((name, transaction.prepare(&sql).map_err(Error::from_sqlite)?));
            }
            Entry::Row(values) => {
                let Some((table, statement)) = &mut present else { continue };
                statement.execute(params_from_iter(&values)).map_err(|error| refused(table, error))?;
            }
            Entry::Sequences(sequences) => {
                for (table, last) in sequences {
                    sequence_set(transaction, &table, last)?;
                }
            }
        }
    }
    Ok(())
}

fn refused(table: &str, error: rusqlite::Error) -> DumpError {
    match Error::from_sqlite(error) {
        Error::Full => DumpError::Database(Error::Full),
        other => DumpError::Refused { table: table.to_owned(), reason: other.to_string() },
    }
}

/// Lets a table's numbers go on after `last`. The table `sqlite_sequence` has no key of its own.
fn sequence_set(transaction: &Transaction<'_>, table: &str, last: i64) -> Result<(), Error> {
    let updated = transaction
        .execute("UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1", (table, last))
        .map_err(Error::from_sqlite)?;
    if updated == 0 {
        transaction
            .execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", (table, last))
            .map_err(Error::from_sqlite)?;
    }
    Ok(())
}
