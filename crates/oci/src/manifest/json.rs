//! JSON that every parser reads alike.
//!
//! A manifest is signed, scanned and run by different programs. Duplicate keys, and keys that differ from a
//! known one only in letter case (which Go's decoder takes for the known one), let two of them see different
//! content under one digest. The I-JSON profile that the image-spec asks for (RFC 7493) forbids the first.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{ManifestError, invalid};
use crate::excerpt::excerpt;

/// How deep objects and lists may be nested, the document itself included.
pub(super) const MAX_DEPTH: usize = 32;

/// The most values in one document. Far above what the largest manifest holds; it bounds the memory that a
/// body full of tiny values could take.
pub(super) const MAX_VALUES: usize = 200_000;

const MANIFEST_FIELDS: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "blobs",
    "manifests",
    "subject",
    "subjectManifest",
    "annotations",
];

const DESCRIPTOR_FIELDS: &[&str] =
    &["mediaType", "digest", "size", "urls", "data", "artifactType", "annotations", "platform"];

/// The fields of a manifest that hold a descriptor or a list of them.
const FIELDS_WITH_DESCRIPTORS: &[&str] =
    &["config", "layers", "blobs", "manifests", "subject", "subjectManifest"];

/// Reads a body that has to be exactly one JSON object.
pub(super) fn parse_object(body: &[u8]) -> Result<Map<String, Value>, ManifestError> {
    let text = std::str::from_utf8(body).map_err(|_| invalid("the manifest is not valid UTF-8"))?;
    if text.starts_with('\u{feff}') {
        return Err(invalid("the manifest begins with a byte order mark; remove it"));
    }
    let mut values = 0;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let document = Strict { depth: 0, values: &mut values }
        .deserialize(&mut deserializer)
        .and_then(|document| deserializer.end().map(|()| document))
        .map_err(|error| invalid(format!("the manifest is not acceptable JSON: {error}")))?;
    let Value::Object(document) = document else {
        return Err(invalid("the manifest has to be a JSON object"));
    };
    check_spelling(&document)?;
    Ok(document)
}

fn check_spelling(document: &Map<String, Value>) -> Result<(), ManifestError> {
    check_keys(document, MANIFEST_FIELDS)?;
    for field in FIELDS_WITH_DESCRIPTORS {
        let descriptors = match document.get(*field) {
            Some(Value::Array(items)) => items.as_slice(),
            Some(single) => std::slice::from_ref(single),
            None => &[],
        };
        for descriptor in descriptors.iter().filter_map(Value::as_object) {
            check_keys(descriptor, DESCRIPTOR_FIELDS)?;
        }
    }
    Ok(())
}

fn check_keys(object: &Map<String, Value>, known: &[&str]) -> Result<(), ManifestError> {
    for key in object.keys() {
        if let Some(field) = known.iter().find(|field| *key != **field && folds_to(key, field)) {
            return Err(invalid(format!(
                "the field \"{}\" differs from \"{field}\" only in letter case; spell it \"{field}\"",
                excerpt(key)
            )));
        }
    }
    Ok(())
}

/// Equality under Unicode simple case folding, for an ASCII `field`: two characters outside ASCII fold into
/// it.
fn folds_to(key: &str, field: &str) -> bool {
    let fold = |character: char| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(field.chars().map(fold))
}

/// Builds a [`Value`] and refuses duplicate keys, deep nesting and excessive numbers of values on the way.
struct Strict<'a> {
    depth: usize,
    values: &'a mut usize,
}

impl Strict<'_> {
    fn descend<E: de::Error>(&self) -> Result<usize, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("it is nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.values += 1;
        if *self.values > MAX_VALUES {
            return Err(de::Error::custom(format!("it holds more than {MAX_VALUES} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let depth = self.descend()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(Strict { depth, values: &mut *self.values })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let depth = self.descend()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(de::Error::custom(format!(
                    "the key \"{}\" stands twice in one object",
                    excerpt(&key)
                )));
            }
            let value = entries.next_value_seed(Strict { depth, values: &mut *self.values })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
