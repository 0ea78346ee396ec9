//! The data directory of a registry of the distribution project, read without the registry:
//!
//! ```text
//! docker/registry/v2/repositories/<name>/_manifests/tags/<tag>/current/link
//! docker/registry/v2/repositories/<name>/_manifests/revisions/<algorithm>/<hex>/link
//! docker/registry/v2/blobs/<algorithm>/<first two of hex>/<hex>/data
//! ```
//!
//! Links hold a digest. The directory may belong to a registry that runs: nothing here writes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use oci::{Digest, MAX_MANIFEST_BYTES, Reference, Tag};
use tokio_util::io::ReaderStream;

use crate::error::Error;
use crate::manifest::Body;
use crate::verify::{Blob, Pieces};

const PIECE: usize = 256 * 1024;
/// The longest link: a digest and perhaps a line end.
const LINK_BYTES: u64 = 1024;

/// A data directory.
#[derive(Debug, Clone)]
pub(crate) struct DataDirectory {
    /// What holds `repositories` and `blobs`.
    root: PathBuf,
}

impl DataDirectory {
    /// Finds the storage below `path`, which may be the directory that the registry's configuration names or
    /// one further inside.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        for below in ["docker/registry/v2", "registry/v2", "v2", ""] {
            let root = path.join(below);
            if root.join("repositories").is_dir() && root.join("blobs").is_dir() {
                return Ok(Self { root });
            }
        }
        let shown = path.display();
        Err(Error::Other(match fs::metadata(path) {
            Ok(found) if found.is_dir() => format!(
                "{shown} is not the data directory of a registry: there is no docker/registry/v2/repositories in it; \
                 name the directory that the registry's configuration calls rootdirectory"
            ),
            Ok(_) => format!("{shown} is a file; name the data directory of a registry, or http(s)://host"),
            Err(error) => format!(
                "cannot read {shown}: {error}; name the data directory of a registry, or http(s)://host"
            ),
        }))
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.root.join("repositories").join(name)
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
        self.root.join("blobs").join(algorithm).join(&hex[..2]).join(hex).join("data")
    }

    /// Every repository: each directory that has manifests. Directories whose names begin with `_` belong to
    /// the repository above them; a component of a name never does.
    pub(crate) fn repositories(&self) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        let mut open = vec![(String::new(), self.root.join("repositories"))];
        while let Some((name, path)) = open.pop() {
            for (entry, is_directory) in entries(&path)? {
                if !is_directory {
                    continue;
                }
                if entry == "_manifests" && !name.is_empty() {
                    found.push(name.clone());
                } else if !entry.starts_with('_') {
                    let below = if name.is_empty() { entry.clone() } else { format!("{name}/{entry}") };
                    open.push((below, path.join(&entry)));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The names of the tags, which need not be valid.
    pub(crate) fn tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        let directory = self.repository(repository);
        if !directory.join("_manifests").is_dir() {
            return Err(Error::Missing(format!("there is no repository at {}", directory.display())));
        }
        let tags = absent_is_empty(entries(&directory.join("_manifests/tags")))?;
        // A deleted tag may leave its directory behind.
        let is_set =
            |tag: &String| directory.join("_manifests/tags").join(tag).join("current/link").is_file();
        let mut tags: Vec<String> = tags.into_iter().map(|(name, _)| name).filter(is_set).collect();
        tags.sort();
        Ok(tags)
    }

    /// Every manifest, those without a tag too.
    pub(crate) fn revisions(&self, repository: &str) -> Result<Vec<Digest>, Error> {
        let directory = self.repository(repository).join("_manifests/revisions");
        let mut found = Vec::new();
        for (algorithm, _) in absent_is_empty(entries(&directory))? {
            let below = directory.join(&algorithm);
            for (hex, is_directory) in absent_is_empty(entries(&below))? {
                // A deleted manifest leaves its directory behind, without the link.
                if is_directory
                    && below.join(&hex).join("link").is_file()
                    && let Ok(digest) = format!("{algorithm}:{hex}").parse()
                {
                    found.push(digest);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// What a tag points at.
    pub(crate) fn tag(&self, repository: &str, tag: &Tag) -> Result<Digest, Error> {
        let directory = self.repository(repository).join("_manifests/tags").join(tag.as_str());
        let path = directory.join("current/link");
        let length = fs::metadata(&path).map_err(|error| Error::file("read", &path, &error))?.len();
        if length > LINK_BYTES {
            return Err(Error::Corrupt(format!("{} is no link: it has {length} bytes", path.display())));
        }
        let text = fs::read_to_string(&path).map_err(|error| Error::file("read", &path, &error))?;
        text.trim()
            .parse()
            .map_err(|error| Error::Corrupt(format!("{} does not hold a digest: {error}", path.display())))
    }

    /// A manifest, verified.
    pub(crate) fn manifest(&self, repository: &str, reference: &Reference) -> Result<Body, Error> {
        let digest = match reference {
            Reference::Tag(tag) => self.tag(repository, tag)?,
            Reference::Digest(digest) => {
                let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
                let revisions = self.repository(repository).join("_manifests/revisions");
                if !revisions.join(algorithm).join(hex).join("link").is_file() {
                    return Err(Error::Missing(format!("{repository} has no manifest {digest}")));
                }
                digest.clone()
            }
        };
        let path = self.blob_path(&digest);
        let length = fs::metadata(&path).map_err(|error| Error::file("read", &path, &error))?.len();
        if length > MAX_MANIFEST_BYTES as u64 {
            return Err(Error::Other(format!(
                "manifest {digest} is {length} bytes long and at most {MAX_MANIFEST_BYTES} are allowed"
            )));
        }
        let bytes = fs::read(&path).map_err(|error| Error::file("read", &path, &error))?;
        Body::verified(Some(digest), None, bytes.into())
    }

    /// A blob, whichever repositories link it: a manifest that names it is reason enough.
    pub(crate) async fn blob(&self, digest: &Digest) -> Result<Blob, Error> {
        let path = self.blob_path(digest);
        let opened = async {
            let file = tokio::fs::File::open(&path).await?;
            let length = file.metadata().await?.len();
            Ok::<_, std::io::Error>((file, length))
        };
        let (file, length) = opened.await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::Missing(format!("the data directory has no blob {digest}")),
            _ => Error::file("read", &path, &error),
        })?;
        let pieces: Pieces = ReaderStream::with_capacity(file, PIECE)
            .map(move |piece| piece.map_err(|error| Error::file("read", &path, &error)))
            .boxed();
        Ok(Blob { length, pieces })
    }
}

/// The names in a directory that are text, and whether each is a directory itself. Symbolic links are not
/// followed: they could lead in a circle.
fn entries(directory: &Path) -> Result<Vec<(String, bool)>, Error> {
    let failed = |error: &std::io::Error| Error::file("read", directory, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        let is_directory = entry.file_type().map_err(|error| failed(&error))?.is_dir();
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, is_directory));
        }
    }
    Ok(found)
}

fn absent_is_empty<T>(found: Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
    match found {
        Err(Error::Missing(_)) => Ok(Vec::new()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use oci::Algorithm;
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    const MANIFEST: &[u8] = br#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;

    fn write(path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn storage() -> (TempDir, PathBuf) {
        let directory = TempDir::new().unwrap();
        let root = directory.path().join("docker/registry/v2");
        fs::create_dir_all(root.join("repositories")).unwrap();
        fs::create_dir_all(root.join("blobs")).unwrap();
        (directory, root)
    }

    fn manifest_write(root: &Path, repository: &str, tag: Option<&str>, content: &[u8]) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, content);
        let hex = digest.hex();
        write(&root.join(format!("blobs/sha256/{}/{hex}/data", &hex[..2])), content);
        let manifests = root.join("repositories").join(repository).join("_manifests");
        write(&manifests.join(format!("revisions/sha256/{hex}/link")), digest.as_str().as_bytes());
        if let Some(tag) = tag {
            write(&manifests.join(format!("tags/{tag}/current/link")), digest.as_str().as_bytes());
        }
        digest
    }

    #[test]
    fn a_storage_is_read() {
        let (directory, root) = storage();
        let digest = manifest_write(&root, "a/b", Some("1"), MANIFEST);
        let other = [MANIFEST, b"\n"].concat();
        let untagged = manifest_write(&root, "a/b", None, &other);
        manifest_write(&root, "a", Some("2"), MANIFEST);
        // What a deletion leaves behind.
        fs::create_dir_all(root.join("repositories/a/b/_manifests/tags/gone")).unwrap();
        fs::create_dir_all(root.join("repositories/a/b/_manifests/revisions/sha256").join("0".repeat(64)))
            .unwrap();
        fs::create_dir_all(root.join("repositories/a/_layers/sha256")).unwrap();

        for path in [directory.path(), &directory.path().join("docker/registry"), &root] {
            let data = DataDirectory::open(path).unwrap();
            assert_eq!(data.repositories().unwrap(), ["a", "a/b"]);
            assert_eq!(data.tags("a/b").unwrap(), ["1"]);
            let mut expected = [digest.clone(), untagged.clone()];
            expected.sort();
            assert_eq!(data.revisions("a/b").unwrap(), expected);
            let tag: Tag = "1".parse().unwrap();
            assert_eq!(data.tag("a/b", &tag).unwrap(), digest);
            let body = data.manifest("a/b", &Reference::Digest(untagged.clone())).unwrap();
            assert_eq!(body.bytes, other);
            assert!(matches!(data.tags("c"), Err(Error::Missing(_))));
            assert!(matches!(
                data.manifest("a", &Reference::Digest(untagged.clone())),
                Err(Error::Missing(_))
            ));
        }
    }

    #[test]
    fn what_is_no_storage_is_told() {
        let directory = TempDir::new().unwrap();
        let error = |path: &Path| DataDirectory::open(path).unwrap_err().to_string();
        assert!(error(directory.path()).contains("rootdirectory"));
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(error(&file).contains("is a file"));
        assert!(error(&directory.path().join("none")).contains("No such file"));
    }

    #[tokio::test]
    async fn damage_is_found() {
        let (_directory, root) = storage();
        let digest = manifest_write(&root, "a", Some("1"), MANIFEST);
        let data = DataDirectory::open(&root).unwrap();
        fs::write(data.blob_path(&digest), b"{}").unwrap();
        let tag = Reference::Tag("1".parse().unwrap());
        assert!(matches!(data.manifest("a", &tag), Err(Error::Corrupt(_))));
        fs::write(root.join("repositories/a/_manifests/tags/1/current/link"), "nonsense").unwrap();
        assert!(data.manifest("a", &tag).unwrap_err().to_string().contains("does not hold a digest"));
        let missing = Digest::of(Algorithm::Sha512, b"none");
        assert!(matches!(data.blob(&missing).await, Err(Error::Missing(_))));
    }

    const COMPONENT: &str = "[a-z0-9]{1,4}((\\.|_|__|-{1,2})[a-z0-9]{1,3}){0,2}";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_name_is_found_as_it_was_written(
            names in prop::collection::btree_set(prop::collection::vec(COMPONENT, 1..4), 1..6)
        ) {
            let (_directory, root) = storage();
            let mut names: Vec<String> = names.into_iter().map(|parts| parts.join("/")).collect();
            names.sort();
            for name in &names {
                manifest_write(&root, name, Some("t"), MANIFEST);
            }
            let data = DataDirectory::open(&root).unwrap();
            prop_assert_eq!(data.repositories().unwrap(), names);
        }
    }
}
