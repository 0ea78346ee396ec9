//! What goes into a statement and what comes out of a row.

use crate::Error;

/// A value bound to a statement's parameter or read from a column: the types that SQLite and PostgreSQL share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// SQL `NULL`.
    Null,
    /// A 64-bit integer; a boolean is stored as 0 or 1.
    Integer(i64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

macro_rules! into_value {
    ($($type:ty => $name:ident: $make:expr),+ $(,)?) => {
        $(impl From<$type> for Value {
            fn from($name: $type) -> Self {
                $make
            }
        })+
    };
}

into_value! {
    bool => value: Value::Integer(i64::from(value)),
    i64 => value: Value::Integer(value),
    u32 => value: Value::Integer(i64::from(value)),
    i32 => value: Value::Integer(i64::from(value)),
    &str => value: Value::Text(value.to_owned()),
    String => value: Value::Text(value),
    &String => value: Value::Text(value.clone()),
    &[u8] => value: Value::Bytes(value.to_vec()),
    Vec<u8> => value: Value::Bytes(value),
    [u8; 32] => value: Value::Bytes(value.to_vec()),
    [u8; 64] => value: Value::Bytes(value.to_vec()),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// Sizes and offsets are unsigned in the program and signed in SQL; nothing that Larder stores reaches 2^63.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

/// Collects parameters of different types: `params![organization_id, name]`.
#[macro_export]
macro_rules! params {
    () => { &[] as &[$crate::Value] };
    ($($value:expr),+ $(,)?) => { &[$($crate::Value::from($value)),+] as &[$crate::Value] };
}

/// One row of a result; columns are read by position.
pub struct Row<'a>(pub(crate) Source<'a>);

/// Where a row lies.
pub(crate) enum Source<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
    /// A row that was remembered.
    Kept(&'a [Value]),
}

impl Row<'_> {
    /// The column at `index`, counted from 0.
    pub fn get<T: FromColumn>(&self, index: usize) -> Result<T, Error> {
        T::from_column(self.column(index)?).ok_or(Error::UnexpectedType { index })
    }

    fn column(&self, index: usize) -> Result<Column<'_>, Error> {
        use rusqlite::types::ValueRef;
        let unexpected = || Error::UnexpectedType { index };
        Ok(match &self.0 {
            Source::Sqlite(row) => match row.get_ref(index).map_err(Error::from_sqlite)? {
                ValueRef::Null => Column::Null,
                ValueRef::Integer(value) => Column::Integer(value),
                ValueRef::Text(text) => Column::Text(std::str::from_utf8(text).map_err(|_| unexpected())?),
                ValueRef::Blob(bytes) => Column::Bytes(bytes),
                ValueRef::Real(_) => return Err(unexpected()),
            },
            Source::Postgres(row) => row.try_get(index).map_err(|_| unexpected())?,
            Source::Kept(values) => match values.get(index).ok_or_else(unexpected)? {
                Value::Null => Column::Null,
                Value::Integer(value) => Column::Integer(*value),
                Value::Text(text) => Column::Text(text),
                Value::Bytes(bytes) => Column::Bytes(bytes),
            },
        })
    }
}

/// One column of a row, in the types that both engines share.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// SQL `NULL`.
    Null,
    /// An integer, or a truth value as 0 or 1.
    Integer(i64),
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl Column<'_> {
    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(value) => Value::Integer(value),
            Self::Text(text) => Value::Text(text.to_owned()),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        }
    }
}

/// A type that one column can be read into.
pub trait FromColumn: Sized {
    /// Reads the column; `None` when it holds another type.
    fn from_column(column: Column<'_>) -> Option<Self>;
}

impl FromColumn for i64 {
    fn from_column(column: Column<'_>) -> Option<Self> {
        match column {
            Column::Integer(value) => Some(value),
            _ => None,
        }
    }
}

impl FromColumn for u64 {
    fn from_column(column: Column<'_>) -> Option<Self> {
        i64::from_column(column).and_then(|value| u64::try_from(value).ok())
    }
}

impl FromColumn for bool {
    fn from_column(column: Column<'_>) -> Option<Self> {
        i64::from_column(column).map(|value| value != 0)
    }
}

impl FromColumn for String {
    fn from_column(column: Column<'_>) -> Option<Self> {
        match column {
            Column::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl FromColumn for Vec<u8> {
    fn from_column(column: Column<'_>) -> Option<Self> {
        match column {
            Column::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(column: Column<'_>) -> Option<Self> {
        match column {
            Column::Null => Some(None),
            other => T::from_column(other).map(Some),
        }
    }
}

/// A type that a whole row can be read into. Tuples of columns are; a struct says how by hand.
pub trait FromRow: Sized {
    /// Reads the row's columns.
    fn from_row(row: &Row<'_>) -> Result<Self, Error>;
}

macro_rules! tuple_from_row {
    ($($type:ident $index:tt),+) => {
        impl<$($type: FromColumn),+> FromRow for ($($type,)+) {
            fn from_row(row: &Row<'_>) -> Result<Self, Error> {
                Ok(($(row.get::<$type>($index)?,)+))
            }
        }
    };
}

tuple_from_row!(A 0);
tuple_from_row!(A 0, B 1);
tuple_from_row!(A 0, B 1, C 2);
tuple_from_row!(A 0, B 1, C 2, D 3);
tuple_from_row!(A 0, B 1, C 2, D 3, E 4);
tuple_from_row!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple_from_row!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple_from_row!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple_from_row!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple_from_row!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple_from_row!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple_from_row!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
