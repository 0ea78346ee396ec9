//! What is pushed: bytes that do not compress, in blobs that are all different.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Bytes of random data that a large blob repeats. Neither server looks for repetition inside a blob.
const BASE_BYTES: usize = 32 << 20;
/// Bytes at the end of a blob that make it different from every other.
const TAIL_BYTES: usize = 32;

/// Makes blobs of one size that differ in their last bytes only.
///
/// Hashing a blob on the generator would take as long as hashing it on the server; so the common part is
/// hashed once and each further blob costs one block.
#[derive(Clone, Debug)]
pub(crate) struct Stock {
    base: Bytes,
    size: u64,
    common: Arc<Sha256>,
}

/// One blob with its digest.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    base: Bytes,
    size: u64,
    tail: [u8; TAIL_BYTES],
    digest: String,
}

impl Stock {
    /// A stock of blobs of `size` bytes, at least 32.
    pub(crate) fn new(size: u64) -> anyhow::Result<Self> {
        ensure!(size >= TAIL_BYTES as u64, "a blob of {size} bytes has no room for what makes it unique");
        let length = usize::try_from(size).map_or(BASE_BYTES, |size| size.min(BASE_BYTES));
        let mut base = vec![0; length];
        getrandom::fill(&mut base).context("cannot get random bytes from the system")?;
        let base = Bytes::from(base);
        let mut common = Sha256::new();
        for piece in repeat(&base, size - TAIL_BYTES as u64) {
            common.update(piece);
        }
        Ok(Self { base, size, common: Arc::new(common) })
    }

    /// A blob that nobody has seen before.
    pub(crate) fn blob(&self) -> anyhow::Result<Blob> {
        let mut tail = [0; TAIL_BYTES];
        getrandom::fill(&mut tail).context("cannot get random bytes from the system")?;
        let mut hasher = Sha256::clone(&self.common);
        hasher.update(tail);
        let digest = sha256_text(&hasher.finalize());
        Ok(Blob { base: self.base.clone(), size: self.size, tail, digest })
    }
}

impl Blob {
    /// `sha256:` and 64 digits.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Bytes in all.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The content, in order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        repeat(&self.base, self.size - TAIL_BYTES as u64).chain(std::iter::once(self.tail.as_slice()))
    }
}

/// The digest of `bytes` as registries write it.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    sha256_text(&Sha256::digest(bytes))
}

fn sha256_text(hash: &[u8]) -> String {
    format!("sha256:{}", hex::encode(hash))
}

/// The first `length` bytes of `base` after `base` after `base`.
fn repeat(base: &[u8], length: u64) -> impl Iterator<Item = &[u8]> {
    let mut rest = length;
    std::iter::from_fn(move || {
        let take = usize::try_from(rest).map_or(base.len(), |rest| rest.min(base.len()));
        rest -= take as u64;
        (take > 0).then(|| &base[..take])
    })
}

/// An image manifest (OCI image-spec) over `config` and `layers`; `note` makes it different from others over
/// the same blobs.
pub(crate) fn manifest(config: &Blob, layers: &[Blob], note: &str) -> Vec<u8> {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| {
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": layer.digest(),
                "size": layer.size(),
            })
        })
        .collect();
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.digest(),
            "size": config.size(),
        },
        "layers": layers,
        "annotations": { "org.opencontainers.image.title": note },
    })
    .to_string()
    .into_bytes()
}

/// The media type of what [`manifest`] makes.
pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_has_the_digest_and_the_size_that_it_says() {
        for size in [32, 33, 4096, BASE_BYTES as u64 + 100, 2 * BASE_BYTES as u64] {
            let blob = Stock::new(size).unwrap().blob().unwrap();
            let content = blob.pieces().collect::<Vec<_>>().concat();
            assert_eq!(content.len() as u64, size);
            assert_eq!(digest_of(&content), blob.digest());
        }
    }

    #[test]
    fn two_blobs_of_a_stock_differ() {
        let stock = Stock::new(64).unwrap();
        assert_ne!(stock.blob().unwrap().digest(), stock.blob().unwrap().digest());
    }
}
