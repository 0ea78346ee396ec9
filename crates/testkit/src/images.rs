//! Images that the test makes itself: from scratch, one file, content that nobody has seen before.

use std::path::Path;

use serde_json::{Value, json};

use crate::{random_bytes, random_word, sha256};

/// The media type of an image manifest (OCI image-spec, `media-types.md`).
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an image index.
pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of an image's configuration.
pub const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of a layer that is not compressed.
pub const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// The name of the one file in every image.
pub const FILE_NAME: &str = "hello";

/// Bytes with the type that a descriptor gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// What the descriptor says.
    pub media_type: &'static str,
    /// The content.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// The digest of the content.
    pub fn digest(&self) -> String {
        sha256(&self.bytes)
    }

    /// The descriptor that names this content (OCI image-spec, `descriptor.md`).
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len() })
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self { media_type, bytes: value.to_string().into_bytes() }
    }

    /// Stores the content in an image layout.
    fn write(&self, layout: &Path) {
        let name = self.digest().replace("sha256:", "");
        write(&layout.join("blobs/sha256").join(name), &self.bytes);
    }
}

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest.
    pub manifest: Blob,
    /// The configuration; its digest is what docker and podman call the image's identity.
    pub config: Blob,
    /// The one layer.
    pub layer: Blob,
    /// What the file [`FILE_NAME`] holds.
    pub payload: Vec<u8>,
    architecture: &'static str,
}

impl Image {
    /// A small image for linux/amd64.
    pub fn random() -> Self {
        Self::random_of("amd64", 64 * 1024)
    }

    /// An image for linux on `architecture` whose one file has `size` bytes.
    pub fn random_of(architecture: &'static str, size: usize) -> Self {
        let payload = random_bytes(size);
        let layer = Blob { media_type: LAYER_TYPE, bytes: archive(&[(FILE_NAME, payload.as_slice())]) };
        let config = Blob::json(
            CONFIG_TYPE,
            &json!({
                "architecture": architecture,
                "os": "linux",
                "created": "2026-01-01T00:00:00Z",
                "config": { "Cmd": ["/hello"], "Labels": { "larder.test": random_word() } },
                "rootfs": { "type": "layers", "diff_ids": [layer.digest()] },
                "history": [{ "created": "2026-01-01T00:00:00Z", "created_by": "COPY hello /" }],
            }),
        );
        let manifest = Blob::json(
            MANIFEST_TYPE,
            &json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": config.descriptor(),
                "layers": [layer.descriptor()],
            }),
        );
        Self { manifest, config, layer, payload, architecture }
    }

    /// Writes an image layout (OCI image-spec, `image-layout.md`) with this image under `tag`.
    pub fn layout_write(&self, directory: &Path, tag: &str) {
        self.blobs_write(directory);
        layout_finish(directory, &self.manifest, tag);
    }

    /// Writes what `docker save` writes, named `reference`, so that docker and podman can load it.
    pub fn docker_archive_write(&self, path: &Path, reference: &str) {
        let config_name = format!("{}.json", self.config.digest().replace("sha256:", ""));
        let manifest =
            json!([{ "Config": config_name, "RepoTags": [reference], "Layers": ["layer.tar"] }]).to_string();
        let files = [
            (config_name.as_str(), self.config.bytes.as_slice()),
            ("layer.tar", self.layer.bytes.as_slice()),
            ("manifest.json", manifest.as_bytes()),
        ];
        write(path, &archive(&files));
    }

    fn blobs_write(&self, layout: &Path) {
        for blob in [&self.layer, &self.config, &self.manifest] {
            blob.write(layout);
        }
    }
}

/// An image for several platforms.
#[derive(Clone, Debug)]
pub struct Index {
    /// The index.
    pub manifest: Blob,
    /// One image a platform: linux/amd64 and linux/arm64.
    pub images: Vec<Image>,
}

impl Index {
    /// A small image for two platforms.
    pub fn random() -> Self {
        let images =
            ["amd64", "arm64"].map(|architecture| Image::random_of(architecture, 16 * 1024)).to_vec();
        let entries = images.iter().map(|image| {
            let mut entry = image.manifest.descriptor();
            entry["platform"] = json!({ "os": "linux", "architecture": image.architecture });
            entry
        });
        let manifest = Blob::json(
            INDEX_TYPE,
            &json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries.collect::<Vec<_>>() }),
        );
        Self { manifest, images }
    }

    /// Writes an image layout with this index under `tag`.
    pub fn layout_write(&self, directory: &Path, tag: &str) {
        for image in &self.images {
            image.blobs_write(directory);
        }
        self.manifest.write(directory);
        layout_finish(directory, &self.manifest, tag);
    }
}

/// The two files that make a directory of blobs an image layout.
fn layout_finish(directory: &Path, manifest: &Blob, tag: &str) {
    let mut entry = manifest.descriptor();
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry] });
    write(&directory.join("index.json"), index.to_string().as_bytes());
    write(&directory.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#);
}

/// A tar archive of plain files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_767_225_600); // 2026-01-01, so that the same content gives the same bytes
        builder.append_data(&mut header, name, *content).expect("an archive in memory takes every file");
    }
    builder.into_inner().expect("an archive in memory can be finished")
}

/// Writes a file and the directories above it.
fn write(path: &Path, bytes: &[u8]) {
    let parent = path.parent().expect("a file lies in a directory");
    std::fs::create_dir_all(parent).expect("a directory can be made for the image");
    std::fs::write(path, bytes).expect("a file can be written for the image");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_names_only_what_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let index = Index::random();
        index.layout_write(directory.path(), "1");
        let blob = |digest: &str| {
            let path = directory.path().join("blobs").join(digest.replace(':', "/"));
            let bytes = std::fs::read(path).unwrap();
            assert_eq!(sha256(&bytes), digest);
            bytes
        };
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let root = json(&std::fs::read(directory.path().join("index.json")).unwrap());
        let children = json(&blob(root["manifests"][0]["digest"].as_str().unwrap()));
        for child in children["manifests"].as_array().unwrap() {
            let manifest = json(&blob(child["digest"].as_str().unwrap()));
            let config = json(&blob(manifest["config"]["digest"].as_str().unwrap()));
            let layer = &manifest["layers"][0];
            assert_eq!(config["rootfs"]["diff_ids"][0], layer["digest"]);
            let bytes = blob(layer["digest"].as_str().unwrap());
            assert_eq!(layer["size"], bytes.len());
        }
        assert_ne!(index.images[0].layer, index.images[1].layer);
    }
}
