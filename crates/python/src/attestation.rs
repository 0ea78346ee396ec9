//! Attestations of uploaded files (PEP 740): their shape, and what they are about. Signatures are not verified
//! here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::{Code, FileName, Invalid, excerpt};

/// Attestations that one upload may bring.
const MOST: usize = 8;
/// The statements that indexes know (PEP 740, "Upload endpoint changes"): that it was published, and how it was
/// built.
const PREDICATE_TYPES: &[&str] =
    &["https://docs.pypi.org/attestations/publish/v1", "https://slsa.dev/provenance/v1"];
/// The type of the statement itself (in-toto attestation framework, "Statement").
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// An attestation that is well formed and about the file that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// What it states.
    pub predicate_type: String,
    /// The attestation object, as compact JSON.
    pub json: Vec<u8>,
}

/// Reads the `attestations` field of an upload: a JSON array of attestation objects, each about this file.
pub fn parse_attestations(
    json: &str,
    file: &FileName,
    sha256: &[u8; 32],
) -> Result<Vec<Attestation>, Invalid> {
    let values: Vec<Value> =
        serde_json::from_str(json).map_err(|error| invalid(format!("not a JSON array: {error}")))?;
    if values.is_empty() || values.len() > MOST {
        return Err(invalid(format!("{} of them; an upload brings 1 to {MOST}", values.len())));
    }
    let mut attestations: Vec<Attestation> = Vec::with_capacity(values.len());
    for value in &values {
        let attestation = parse(value, file, sha256)?;
        if attestations.iter().any(|other| other.predicate_type == attestation.predicate_type) {
            return Err(invalid(format!("two with predicate type '{}'", attestation.predicate_type)));
        }
        attestations.push(attestation);
    }
    Ok(attestations)
}

/// The provenance object of a file (PEP 740, "Provenance objects") from the attestations that were stored. Nothing
/// here knows who signed them, and the publisher says so.
pub fn provenance<'a>(attestations: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let attestations: Vec<Value> =
        attestations.filter_map(|attestation| serde_json::from_slice(attestation).ok()).collect();
    let object = json!({
        "version": 1,
        "attestation_bundles": [{
            "publisher": { "kind": "unverified", "claims": null },
            "attestations": attestations,
        }],
    });
    object.to_string().into_bytes()
}

fn parse(value: &Value, file: &FileName, sha256: &[u8; 32]) -> Result<Attestation, Invalid> {
    let object = value.as_object().ok_or_else(|| invalid("one of them is no object"))?;
    if object.get("version").and_then(Value::as_u64) != Some(1) {
        return Err(invalid("the version is not 1"));
    }
    let material = member(object, "verification_material")?;
    text(material, "certificate")?;
    if !material.get("transparency_entries").is_some_and(|entries| {
        entries.as_array().is_some_and(|entries| !entries.is_empty() && entries.iter().all(Value::is_object))
    }) {
        return Err(invalid("verification_material has no transparency_entries"));
    }
    let envelope = member(object, "envelope")?;
    base64(envelope, "signature")?;
    let statement = base64(envelope, "statement")?;
    let statement: Value = serde_json::from_slice(&statement)
        .map_err(|error| invalid(format!("the statement is not JSON: {error}")))?;
    let statement = statement.as_object().ok_or_else(|| invalid("the statement is no object"))?;
    let predicate_type = check_statement(statement, file, sha256)?;
    let json = value.to_string().into_bytes();
    Ok(Attestation { predicate_type, json })
}

fn check_statement(
    statement: &Map<String, Value>,
    file: &FileName,
    sha256: &[u8; 32],
) -> Result<String, Invalid> {
    if text(statement, "_type")? != STATEMENT_TYPE {
        return Err(invalid(format!("the statement is not of type {STATEMENT_TYPE}")));
    }
    let predicate_type = text(statement, "predicateType")?;
    if !PREDICATE_TYPES.contains(&predicate_type) {
        return Err(invalid(format!("unknown predicate type '{}'", excerpt(predicate_type))));
    }
    let subjects = statement.get("subject").and_then(Value::as_array).map(Vec::as_slice);
    let Some([subject]) = subjects else {
        return Err(invalid("the statement is not about exactly one subject"));
    };
    let subject = subject.as_object().ok_or_else(|| invalid("the subject is no object"))?;
    let name = text(subject, "name")?;
    let same_file = name.parse::<FileName>().is_ok_and(|name| name.canonical() == file.canonical());
    if !same_file {
        return Err(invalid(format!("the subject is '{}', not '{}'", excerpt(name), excerpt(file.as_str()))));
    }
    if text(member(subject, "digest")?, "sha256")? != hex::encode(sha256) {
        return Err(invalid("the subject's sha256 is not that of the file"));
    }
    Ok(predicate_type.to_owned())
}

fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a Map<String, Value>, Invalid> {
    object.get(name).and_then(Value::as_object).ok_or_else(|| invalid(format!("no object '{name}'")))
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, Invalid> {
    let found = object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.ok_or_else(|| invalid(format!("no text '{name}'")))
}

fn base64(object: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Invalid> {
    STANDARD.decode(text(object, name)?).map_err(|_| invalid(format!("'{name}' is not base64")))
}

fn invalid(what: impl std::fmt::Display) -> Invalid {
    Invalid::new(Code::Attestation, format!("Invalid attestations: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA256: [u8; 32] = [7; 32];

    fn file() -> FileName {
        "acme_demo-1.0-py3-none-any.whl".parse().unwrap()
    }

    fn statement() -> Value {
        json!({
            "_type": STATEMENT_TYPE,
            "subject": [{ "name": "Acme.Demo-1.0-py3-none-any.whl", "digest": { "sha256": hex::encode(SHA256) } }],
            "predicateType": PREDICATE_TYPES[0],
            "predicate": null,
        })
    }

    fn attestation(statement: &Value) -> Value {
        json!({
            "version": 1,
            "verification_material": { "certificate": "MIIC", "transparency_entries": [{ "logIndex": "1" }] },
            "envelope": {
                "statement": STANDARD.encode(statement.to_string()),
                "signature": STANDARD.encode("signature"),
            },
        })
    }

    fn refused(value: &Value) -> String {
        let invalid = parse_attestations(&value.to_string(), &file(), &SHA256).unwrap_err();
        assert_eq!(invalid.code, Code::Attestation);
        assert!(invalid.message.starts_with("Invalid attestations: "), "{invalid}");
        invalid.message
    }

    #[test]
    fn a_good_one_is_kept_as_it_is() {
        let good = attestation(&statement());
        let parsed = parse_attestations(&json!([good]).to_string(), &file(), &SHA256).unwrap();
        assert_eq!(parsed.len(), 1);
        assert_eq!(parsed[0].predicate_type, PREDICATE_TYPES[0]);
        let provenance: Value =
            serde_json::from_slice(&provenance(parsed.iter().map(|it| &*it.json))).unwrap();
        assert_eq!(provenance["attestation_bundles"][0]["attestations"][0], good);
        assert_eq!(provenance["attestation_bundles"][0]["publisher"]["kind"], "unverified");
    }

    #[test]
    fn the_shape_is_checked() {
        assert!(parse_attestations("nonsense", &file(), &SHA256).is_err());
        refused(&json!({}));
        refused(&json!([]));
        refused(&Value::Array(vec![attestation(&statement()); MOST + 1]));
        refused(&json!([attestation(&statement()), attestation(&statement())]));
        for path in [
            "/version",
            "/verification_material",
            "/verification_material/certificate",
            "/verification_material/transparency_entries",
            "/envelope",
            "/envelope/statement",
            "/envelope/signature",
        ] {
            let mut broken = attestation(&statement());
            *broken.pointer_mut(path).unwrap() = json!(2);
            refused(&json!([broken]));
        }
    }

    #[test]
    fn the_statement_is_about_this_file() {
        for (path, value) in [
            ("/_type", json!("https://in-toto.io/Statement/v0.1")),
            ("/predicateType", json!("https://example.org/other")),
            ("/subject", json!([])),
            ("/subject/0/name", json!("other-1.0-py3-none-any.whl")),
            ("/subject/0/digest/sha256", json!("00")),
        ] {
            let mut broken = statement();
            *broken.pointer_mut(path).unwrap() = value;
            refused(&json!([attestation(&broken)]));
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(json in ".{0,400}") {
            let _ = parse_attestations(&json, &file(), &SHA256);
        }
    }
}
