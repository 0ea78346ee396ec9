//! A directory in the form of an OCI image layout (OCI image-spec, image-layout.md).

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use oci::Digest;
use serde_json::{Value, json};
use sha2::Digest as _;
use tokio::io::AsyncWriteExt as _;

use crate::error::Error;
use crate::verify::Pieces;

const VERSION: &str = "1.0.0";
/// What a tool calls the manifest; `skopeo copy oci:DIR:NAME` and its like look for it.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Files that are not whole yet lie here, so that everything below `blobs` is what its name says.
const PARTIAL: &str = ".partial";
const PIECE: usize = 256 * 1024;

/// A layout that is written to.
#[derive(Debug)]
pub(crate) struct Layout {
    directory: PathBuf,
}

/// A manifest for the layout's index.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) size: u64,
    pub(crate) artifact_type: Option<String>,
    pub(crate) name: Option<String>,
}

impl Layout {
    /// Begins a layout in `directory`, or goes on with the one that is there.
    pub(crate) fn open(directory: &Path) -> Result<Self, Error> {
        let layout = Self { directory: directory.to_owned() };
        let shown = directory.display();
        let marker = directory.join("oci-layout");
        match fs::read(&marker) {
            Ok(content) => {
                let version = serde_json::from_slice::<Value>(&content).unwrap_or_default();
                if version["imageLayoutVersion"] != VERSION {
                    return Err(Error::Other(format!(
                        "{shown} is an image layout of another version than {VERSION}; choose another directory"
                    )));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let others = fs::read_dir(directory).is_ok_and(|entries| {
                    entries
                        .flatten()
                        .any(|entry| entry.file_name() != PARTIAL && entry.file_name() != "blobs")
                });
                if others {
                    return Err(Error::Other(format!(
                        "{shown} holds something else than an image layout; choose another directory or an empty one"
                    )));
                }
            }
            Err(error) => return Err(Error::file("read", &marker, &error)),
        }
        for part in ["blobs/sha256", PARTIAL] {
            let path = directory.join(part);
            fs::create_dir_all(&path).map_err(|error| Error::file("make", &path, &error))?;
        }
        if !directory.join("index.json").exists() {
            layout.file_put("index.json", &layout.index()?.to_string())?;
        }
        layout.file_put("oci-layout", &json!({ "imageLayoutVersion": VERSION }).to_string())?;
        Ok(layout)
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }

    fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(PARTIAL).join(digest.hex())
    }

    /// Whether a blob is there and whole. What is damaged counts as absent and is written again.
    pub(crate) async fn has(&self, digest: &Digest) -> Result<bool, Error> {
        let (path, digest) = (self.blob_path(digest), digest.clone());
        let looked = tokio::task::spawn_blocking(move || match hash(&path, &digest) {
            Ok(matches) => Ok(matches),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::file("read", &path, &error)),
        });
        looked.await.unwrap_or_else(|error| Err(Error::Other(error.to_string())))
    }

    /// Stores a blob under a temporary name, makes it durable, and only then gives it its name. `pieces` are
    /// verified; their own errors are passed on.
    pub(crate) async fn put(&self, digest: &Digest, mut pieces: Pieces) -> Result<(), Error> {
        let (partial, path) = (self.partial_path(digest), self.blob_path(digest));
        let written = async {
            let failed = |error: &std::io::Error| Error::file("write", &partial, error);
            let mut file = tokio::fs::File::create(&partial).await.map_err(|error| failed(&error))?;
            while let Some(piece) = pieces.next().await {
                file.write_all(&piece?).await.map_err(|error| failed(&error))?;
            }
            file.flush().await.map_err(|error| failed(&error))?;
            file.sync_all().await.map_err(|error| failed(&error))
        };
        if let Err(error) = written.await {
            let _ = tokio::fs::remove_file(&partial).await;
            return Err(error);
        }
        let renamed = tokio::task::spawn_blocking(move || rename(&partial, &path)).await;
        renamed.unwrap_or_else(|error| Err(Error::Other(error.to_string())))
    }

    /// Adds manifests to the index. A name that is given again moves; what had it stays, without the name.
    pub(crate) fn index_add(&self, entries: &[Entry]) -> Result<(), Error> {
        let mut index = self.index()?;
        let Some(listed) = index["manifests"].as_array_mut() else {
            let shown = self.directory.display();
            return Err(Error::Other(format!(
                "{shown}/index.json has no list of manifests; choose another directory"
            )));
        };
        for entry in entries {
            merge(listed, entry);
        }
        self.file_put("index.json", &index.to_string())
    }

    fn index(&self) -> Result<Value, Error> {
        let path = self.directory.join("index.json");
        match fs::read(&path) {
            Ok(content) => serde_json::from_slice(&content).map_err(|error| {
                Error::Other(format!("{} is no JSON: {error}; choose another directory", path.display()))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(json!({
                "schemaVersion": 2, "mediaType": oci::media_type::OCI_INDEX, "manifests": []
            })),
            Err(error) => Err(Error::file("read", &path, &error)),
        }
    }

    fn file_put(&self, name: &str, content: &str) -> Result<(), Error> {
        let partial = self.directory.join(PARTIAL).join(name);
        let written = fs::File::create(&partial).and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| Error::file("write", &partial, &error))?;
        rename(&partial, &self.directory.join(name))
    }

    /// Leaves nothing behind that does not belong to a layout. An export beside this one may still need it.
    pub(crate) fn finish(&self) {
        let _ = fs::remove_dir(self.directory.join(PARTIAL));
    }
}

/// Gives a file that is durable its name, and makes the name durable.
fn rename(partial: &Path, path: &Path) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(path);
    let renamed = fs::create_dir_all(directory)
        .and_then(|()| fs::rename(partial, path))
        .and_then(|()| fs::File::open(directory)?.sync_all());
    renamed.map_err(|error| Error::file("write", path, &error))
}

fn hash(path: &Path, digest: &Digest) -> std::io::Result<bool> {
    use std::io::Read as _;
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; PIECE];
    let mut read_all = |update: &mut dyn FnMut(&[u8])| -> std::io::Result<()> {
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            update(&buffer[..count]);
        }
    };
    let found = match digest.algorithm() {
        oci::Algorithm::Sha256 => {
            let mut hasher = sha2::Sha256::new();
            read_all(&mut |bytes| hasher.update(bytes))?;
            Digest::from_hash(digest.algorithm(), &hasher.finalize())
        }
        oci::Algorithm::Sha512 => {
            let mut hasher = sha2::Sha512::new();
            read_all(&mut |bytes| hasher.update(bytes))?;
            Digest::from_hash(digest.algorithm(), &hasher.finalize())
        }
    };
    Ok(found == *digest)
}

fn merge(listed: &mut Vec<Value>, entry: &Entry) {
    let name_of = |value: &Value| value["annotations"][REF_NAME].as_str().map(str::to_owned);
    let is_same = |value: &Value| value["digest"] == entry.digest.as_str();
    // Without a name it is enough that it is listed at all.
    if listed.iter().any(|value| is_same(value) && (entry.name.is_none() || name_of(value) == entry.name)) {
        return;
    }
    if entry.name.is_some() {
        for value in listed.iter_mut().filter(|value| name_of(value) == entry.name) {
            if let Some(annotations) = value["annotations"].as_object_mut() {
                annotations.remove(REF_NAME);
                if annotations.is_empty()
                    && let Some(value) = value.as_object_mut()
                {
                    value.remove("annotations");
                }
            }
        }
    }
    // An entry of the same manifest that has no name yet takes this one.
    if let Some(value) = listed.iter_mut().find(|value| is_same(value) && name_of(value).is_none()) {
        value["annotations"][REF_NAME] = json!(entry.name);
        return;
    }
    let mut value =
        json!({ "mediaType": entry.media_type, "digest": entry.digest.as_str(), "size": entry.size });
    if let Some(artifact_type) = &entry.artifact_type {
        value["artifactType"] = json!(artifact_type);
    }
    if let Some(name) = &entry.name {
        value["annotations"] = json!({ REF_NAME: name });
    }
    listed.push(value);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;
    use oci::Algorithm;
    use tempfile::TempDir;

    use super::*;

    fn entry(content: &str, name: Option<&str>) -> Entry {
        Entry {
            digest: Digest::of(Algorithm::Sha256, content.as_bytes()),
            media_type: oci::media_type::OCI_INDEX.to_owned(),
            size: content.len() as u64,
            artifact_type: None,
            name: name.map(str::to_owned),
        }
    }

    fn pieces(parts: Vec<Result<Bytes, Error>>) -> Pieces {
        stream::iter(parts).boxed()
    }

    #[tokio::test]
    async fn a_blob_is_whole_or_not_there() {
        let directory = TempDir::new().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, b"ab");
            assert!(!layout.has(&digest).await.unwrap());
            let broken = vec![Ok(Bytes::from_static(b"a")), Err(Error::Corrupt("bad".to_owned()))];
            assert!(layout.put(&digest, pieces(broken)).await.is_err());
            assert!(!layout.blob_path(&digest).exists() && !layout.partial_path(&digest).exists());
            layout.put(&digest, pieces(vec![Ok(Bytes::from_static(b"ab"))])).await.unwrap();
            assert!(layout.has(&digest).await.unwrap());
            fs::write(layout.blob_path(&digest), "ax").unwrap();
            assert!(!layout.has(&digest).await.unwrap(), "damage is noticed");
        }
        layout.finish();
        assert!(!directory.path().join(PARTIAL).exists());
    }

    #[test]
    fn the_index_grows_and_names_move() {
        let directory = TempDir::new().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        layout.index_add(&[entry("a", Some("1")), entry("b", None)]).unwrap();
        // Opened again, as the next run does.
        let layout = Layout::open(directory.path()).unwrap();
        layout.index_add(&[entry("b", Some("1")), entry("a", Some("1")), entry("c", Some("2"))]).unwrap();
        layout.index_add(&[entry("c", Some("2")), entry("c", None), entry("c", Some("3"))]).unwrap();
        let index = layout.index().unwrap();
        let listed: Vec<(Value, Value)> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| (value["digest"].clone(), value["annotations"][REF_NAME].clone()))
            .collect();
        let expect = |content: &str, name: Value| (json!(entry(content, None).digest.as_str()), name);
        assert_eq!(
            listed,
            [
                expect("a", json!("1")),
                expect("b", Value::Null),
                expect("c", json!("2")),
                expect("c", json!("3"))
            ]
        );
    }

    #[test]
    fn other_directories_are_left_alone() {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("mine"), "").unwrap();
        assert!(Layout::open(directory.path()).unwrap_err().to_string().contains("something else"));
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
        assert!(Layout::open(directory.path()).unwrap_err().to_string().contains("another version"));
    }
}
