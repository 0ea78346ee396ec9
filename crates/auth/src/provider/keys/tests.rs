use serde_json::json;

use super::*;
use crate::provider::testing::{ED25519, P256, RSA, changed};

fn parse(keys: &Value) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

#[test]
fn keys_are_found_by_name_for_what_they_are_good_for() {
    let keys = parse(&json!([RSA.public("a"), P256.public("b"), ED25519.public("c")]));
    for (name, good) in [
        ("a", &[SigningAlgorithm::Rs256, SigningAlgorithm::Rs512, SigningAlgorithm::Ps256][..]),
        ("b", &[SigningAlgorithm::Es256][..]),
        ("c", &[SigningAlgorithm::EdDsa][..]),
    ] {
        for algorithm in good {
            assert!(keys.find(name, *algorithm).is_some(), "{name} {algorithm:?}");
        }
    }
    assert!(keys.find("a", SigningAlgorithm::Es256).is_none());
    assert!(keys.find("b", SigningAlgorithm::Es384).is_none());
    assert!(keys.find("c", SigningAlgorithm::Rs256).is_none());
    assert!(keys.find("d", SigningAlgorithm::Rs256).is_none());
    assert!(keys.names("a") && !keys.names("A"));
}

#[test]
fn a_key_is_good_for_the_algorithm_that_it_states_alone() {
    let keys = parse(&json!([changed(&RSA.public("a"), &json!({ "alg": "RS512" }))]));
    assert!(keys.find("a", SigningAlgorithm::Rs512).is_some());
    assert!(keys.find("a", SigningAlgorithm::Rs256).is_none());
}

#[test]
fn t17_keys_that_cannot_be_used_are_left_out() {
    for (reason, change) in [
        ("no name", json!({ "kid": null })),
        ("empty name", json!({ "kid": "" })),
        ("name is a number", json!({ "kid": 1 })),
        ("endless name", json!({ "kid": "x".repeat(600) })),
        ("for encryption", json!({ "use": "enc" })),
        ("use is not text", json!({ "use": 1 })),
        ("may not verify", json!({ "key_ops": ["encrypt"] })),
        ("for key wrapping", json!({ "alg": "RSA-OAEP" })),
        ("a shared secret", json!({ "kty": "oct", "k": "c2VjcmV0" })),
        ("shared secret algorithm", json!({ "alg": "HS256" })),
        ("no algorithm", json!({ "alg": "none" })),
        ("another type's algorithm", json!({ "alg": "ES256" })),
        ("unknown type", json!({ "kty": "DSA" })),
        ("512 bits", json!({ "n": URL_SAFE_NO_PAD.encode([255; 64]) })),
        ("65536 bits", json!({ "n": URL_SAFE_NO_PAD.encode([255; 8192]) })),
        ("not base64", json!({ "n": "?" })),
        ("no modulus", json!({ "n": null })),
    ] {
        let keys = parse(&json!([changed(&RSA.public("a"), &change)]));
        assert!(keys.is_empty(), "{reason}");
    }
    for change in [
        json!({ "crv": "secp256k1" }),
        json!({ "crv": "P-384" }),
        json!({ "x": "AA" }),
        json!({ "crv": null }),
    ] {
        assert!(parse(&json!([changed(&P256.public("a"), &change)])).is_empty(), "{change}");
    }
}

#[test]
fn one_bad_key_does_not_spoil_the_others() {
    let keys = parse(&json!([1, null, "x", {}, { "kty": [] }, P256.public("b")]));
    assert!(keys.names("b"));
    let many: Vec<_> = (0..200).map(|number| P256.public(&number.to_string())).collect();
    assert!(!parse(&many.into()).names("150"));
}

#[test]
fn what_is_not_a_set_is_none() {
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, "<html>"] {
        assert!(KeySet::parse(text.as_bytes()).is_none(), "{text}");
    }
}
