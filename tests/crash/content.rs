//! What is pushed: content from a dice that can be thrown the same way again, and manifests over it.

use serde_json::{Value, json};
use testkit::images::{CONFIG_TYPE, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE};
use testkit::sha256;

/// Choices that only depend on the seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // The generator stands still at zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        // xorshift64*, as Vigna describes it.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits fit") % limit
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A blob.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

impl Content {
    /// `size` bytes that no other throw of the dice gives.
    pub(crate) fn random(dice: &mut Dice, size: usize) -> Self {
        let mut bytes: Vec<u8> = (0..size.div_ceil(8)).flat_map(|_| dice.next().to_le_bytes()).collect();
        bytes.truncate(size);
        Self { digest: sha256(&bytes), bytes }
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// A manifest and what it names.
pub(crate) struct Manifest {
    pub(crate) digest: String,
    pub(crate) media_type: &'static str,
    pub(crate) body: Vec<u8>,
    /// Digests of the blobs that have to be in the same repository.
    pub(crate) blobs: Vec<String>,
    /// Digests of the manifests that have to be in the same repository.
    pub(crate) children: Vec<String>,
    /// Digest of what it refers to, which need not be anywhere.
    pub(crate) subject: Option<String>,
}

/// Short, because it stands in what a failed test says.
impl std::fmt::Debug for Manifest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.digest)
    }
}

impl Manifest {
    /// An image whose first blob is the configuration. The label makes equal images different.
    pub(crate) fn image(blobs: &[&Content], subject: Option<&str>, label: &str) -> Self {
        let (config, layers) = blobs.split_first().expect("an image has a configuration");
        let mut document = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config.descriptor(CONFIG_TYPE),
            "layers": layers.iter().map(|layer| layer.descriptor(LAYER_TYPE)).collect::<Vec<_>>(),
            "annotations": { "test.label": label },
        });
        if let Some(subject) = subject {
            document["subject"] = json!({ "mediaType": MANIFEST_TYPE, "digest": subject, "size": 2 });
            document["artifactType"] = json!("application/vnd.example.signature");
        }
        Self {
            blobs: blobs.iter().map(|blob| blob.digest.clone()).collect(),
            children: Vec::new(),
            subject: subject.map(str::to_owned),
            ..Self::of(MANIFEST_TYPE, &document)
        }
    }

    /// An index over manifests.
    pub(crate) fn index(children: &[&Self], label: &str) -> Self {
        let entries = children.iter().map(|child| {
            json!({ "mediaType": child.media_type, "digest": child.digest, "size": child.body.len() })
        });
        let document = json!({
            "schemaVersion": 2,
            "mediaType": INDEX_TYPE,
            "manifests": entries.collect::<Vec<_>>(),
            "annotations": { "test.label": label },
        });
        Self {
            children: children.iter().map(|child| child.digest.clone()).collect(),
            ..Self::of(INDEX_TYPE, &document)
        }
    }

    fn of(media_type: &'static str, document: &Value) -> Self {
        let body = document.to_string().into_bytes();
        let digest = sha256(&body);
        Self { digest, media_type, body, blobs: Vec::new(), children: Vec::new(), subject: None }
    }
}
