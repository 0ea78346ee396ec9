//! The registry that is moved: a data directory of the distribution project, written as its registry writes it,
//! and Debian's docker-registry over it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::images::{CONFIG_TYPE, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE};
use testkit::{Background, random_bytes, random_word, sha256, tool};

/// Everything in one repository, by digest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) manifests: BTreeMap<String, Vec<u8>>,
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// Manifests that nothing but the list of revisions leads to.
    pub(crate) untagged: Vec<String>,
}

/// A data directory that the test has written.
pub(crate) struct Origin {
    directory: TempDir,
    pub(crate) repositories: BTreeMap<String, Contents>,
}

impl Origin {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        for part in ["repositories", "blobs"] {
            fs::create_dir_all(directory.path().join("docker/registry/v2").join(part)).expect("a directory");
        }
        Self { directory, repositories: BTreeMap::new() }
    }

    /// `images` images in ten repositories. All stand on one layer; every tenth is an index over two more; each
    /// repository has a manifest without a tag, and a signature of a signature behind fallback tags.
    pub(crate) fn filled(images: usize) -> Self {
        let mut origin = Self::new();
        let base = random_bytes(256 * 1024);
        for number in 0..images {
            let repository = match number % 10 {
                0 => "app".to_owned(),
                1 => "blobs/uploads".to_owned(),
                other => format!("team{other}/deep.er/na__me-{other}"),
            };
            let tag = format!("v{number}");
            let image = origin.image(&repository, &base);
            if number % 10 == 9 || number % 50 == 0 {
                let second = origin.image(&repository, &base);
                let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [
                    entry(MANIFEST_TYPE, &image), entry(MANIFEST_TYPE, &second),
                ]});
                let index = origin.manifest(&repository, &index);
                origin.tag(&repository, &tag, &index.digest);
            } else {
                origin.tag(&repository, &tag, &image.digest);
            }
        }
        for repository in origin.repositories.keys().cloned().collect::<Vec<_>>() {
            let untagged = origin.image(&repository, &base);
            let (digest, first) = {
                let contents = origin.repositories.get_mut(&repository).expect("it was just listed");
                contents.untagged.push(untagged.digest);
                let digest = contents.tags.values().next().expect("there are tags").clone();
                (digest.clone(), contents.manifests[&digest].clone())
            };
            let subject = Stored { digest, size: first.len() };
            let signature = origin.referrer(&repository, &subject);
            origin.referrer(&repository, &signature);
        }
        origin
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn root(&self) -> PathBuf {
        self.path().join("docker/registry/v2")
    }

    pub(crate) fn blob_path(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("this test uses no other algorithm");
        self.root().join("blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }

    /// An image over `base` with a layer and a configuration of its own.
    pub(crate) fn image(&mut self, repository: &str, base: &[u8]) -> Stored {
        let base = self.blob(repository, base);
        let own = self.blob(repository, &random_bytes(2048));
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": { "Labels": { "larder.test": random_word() } },
            "rootfs": { "type": "layers", "diff_ids": [base.digest, own.digest] },
        });
        let config = self.blob(repository, config.to_string().as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": entry(CONFIG_TYPE, &config),
            "layers": [entry(LAYER_TYPE, &base), entry(LAYER_TYPE, &own)],
        });
        self.manifest(repository, &manifest)
    }

    /// A manifest that refers to another one, listed where clients list it for a registry without a listing.
    fn referrer(&mut self, repository: &str, subject: &Stored) -> Stored {
        let empty = self.blob(repository, b"{}");
        let layer = self.blob(repository, random_word().as_bytes());
        let referrer = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": "application/vnd.example.signature",
            "config": entry("application/vnd.oci.empty.v1+json", &empty),
            "layers": [entry("text/plain", &layer)], "subject": entry(MANIFEST_TYPE, subject),
        });
        let referrer = self.manifest(repository, &referrer);
        let index = json!({
            "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry(MANIFEST_TYPE, &referrer)],
        });
        let index = self.manifest(repository, &index);
        self.tag(repository, &subject.digest.replace(':', "-"), &index.digest);
        referrer
    }

    pub(crate) fn tag(&mut self, repository: &str, tag: &str, digest: &str) {
        let directory = self.root().join("repositories").join(repository).join("_manifests/tags").join(tag);
        write(&directory.join("current/link"), digest.as_bytes());
        write(&directory.join("index").join(digest.replace(':', "/")).join("link"), digest.as_bytes());
        self.contents(repository).tags.insert(tag.to_owned(), digest.to_owned());
    }

    fn manifest(&mut self, repository: &str, manifest: &Value) -> Stored {
        let bytes = manifest.to_string().into_bytes();
        let stored = self.store(repository, "_manifests/revisions", &bytes);
        self.contents(repository).manifests.insert(stored.digest.clone(), bytes);
        stored
    }

    fn blob(&mut self, repository: &str, bytes: &[u8]) -> Stored {
        let stored = self.store(repository, "_layers", bytes);
        self.contents(repository).blobs.insert(stored.digest.clone(), bytes.to_owned());
        stored
    }

    fn store(&self, repository: &str, links: &str, bytes: &[u8]) -> Stored {
        let digest = sha256(bytes);
        let path = self.blob_path(&digest);
        if !path.exists() {
            write(&path, bytes);
        }
        let links = self.root().join("repositories").join(repository).join(links);
        write(&links.join(digest.replace(':', "/")).join("link"), digest.as_bytes());
        Stored { digest, size: bytes.len() }
    }

    fn contents(&mut self, repository: &str) -> &mut Contents {
        self.repositories.entry(repository.to_owned()).or_default()
    }

    /// Starts Debian's docker-registry over the directory.
    pub(crate) fn serve(&self) -> Registry {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        drop(listener);
        // JSON is YAML, and needs no rules for quoting.
        let configuration = json!({
            "version": "0.1",
            "log": { "level": "error", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": self.path() } },
            "http": { "addr": format!("127.0.0.1:{port}") },
        });
        let path = self.path().join("config.yml");
        write(&path, configuration.to_string().as_bytes());
        let mut command = std::process::Command::new(tool("docker-registry"));
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REGISTRY_"))
        {
            command.env_remove(name);
        }
        let mut program =
            Background::start(command.arg("serve").arg(path).env("OTEL_TRACES_EXPORTER", "none"));
        program.until(|program| {
            assert!(program.wait(std::time::Duration::ZERO).is_none(), "docker-registry ended:\n{program}");
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Registry { url: format!("http://localhost:{port}"), _program: program }
    }
}

/// A running docker-registry.
pub(crate) struct Registry {
    pub(crate) url: String,
    _program: Background,
}

/// What a descriptor needs.
pub(crate) struct Stored {
    pub(crate) digest: String,
    size: usize,
}

fn entry(media_type: &str, stored: &Stored) -> Value {
    json!({ "mediaType": media_type, "digest": stored.digest, "size": stored.size })
}

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("a directory can be made");
    fs::write(path, content).expect("a file can be written");
}
