//! One column of one row as JSON.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Column, Value};

/// The key of the object that stands for bytes, which JSON has no other way to write.
const BYTES: &str = "base64";

/// A column to be written.
pub(super) struct Written<'a>(pub(super) Column<'a>);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Column::Null => serializer.serialize_unit(),
            Column::Integer(value) => serializer.serialize_i64(value),
            Column::Text(text) => serializer.serialize_str(text),
            Column::Bytes(bytes) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(BYTES, &STANDARD.encode(bytes))?;
                map.end()
            }
        }
    }
}

/// A column that was read.
pub(super) struct Found(pub(super) Value);

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FoundVisitor).map(Self)
    }
}

struct FoundVisitor;

impl<'de> Visitor<'de> for FoundVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("null, a whole number, a string or bytes")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Integer).map_err(|_| E::custom("a number has more than 63 bits"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Some((key, text)) = map.next_entry::<String, String>()? else {
            return Err(A::Error::custom("an empty object"));
        };
        if key != BYTES || map.next_key::<String>()?.is_some() {
            return Err(A::Error::custom("an object that stands for no bytes"));
        }
        STANDARD.decode(text).map(Value::Bytes).map_err(A::Error::custom)
    }
}
