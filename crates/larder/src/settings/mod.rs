//! Configuration: defaults, then `larder.toml`, then `LARDER_<SECTION>__<KEY>`, then flags. It is read once
//! and becomes one value.

mod duration;
mod load;
mod mail;
mod provider;
mod secret;
mod sign_in;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use server::TlsFiles;

use duration::Text;
use secret::{mask, mask_url};

pub(crate) use load::{Overrides, load};
pub(crate) use mail::MailSettings;
pub(crate) use sign_in::AuthSettings;

/// Everything that can be set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) server: ServerSettings,
    pub(crate) storage: StorageSettings,
    pub(crate) database: DatabaseSettings,
    pub(crate) auth: AuthSettings,
    pub(crate) mail: MailSettings,
    pub(crate) uploads: UploadSettings,
    pub(crate) gc: GcSettings,
    pub(crate) bootstrap: BootstrapSettings,
    pub(crate) log: LogSettings,
}

/// HTTP.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerSettings {
    /// host:port.
    pub(crate) listen: String,
    /// host:port of a listener of its own for operators, in plain HTTP; with it /metrics is there alone.
    operations_listen: String,
    /// The URL under which clients reach the server, when it is not what their requests say.
    public_url: String,
    /// Addresses or networks of proxies whose X-Forwarded headers are believed.
    trusted_proxies: Vec<String>,
    /// Certificate chain in PEM; with the key, the server speaks TLS.
    tls_certificate: PathBuf,
    /// Private key in PEM.
    tls_key: PathBuf,
    /// Connections served at once.
    connections: usize,
    /// Time for requests under way when the server stops.
    drain_timeout: Text,
}

impl Default for ServerSettings {
    fn default() -> Self {
        let http = server::Settings::default();
        Self {
            listen: "localhost:5000".to_owned(),
            operations_listen: String::new(),
            public_url: String::new(),
            trusted_proxies: Vec::new(),
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
            connections: http.connections,
            drain_timeout: http.drain_timeout.into(),
        }
    }
}

impl ServerSettings {
    /// The address for operators alone, when there is one.
    pub(crate) fn operations_listen(&self) -> Option<&str> {
        Some(self.operations_listen.as_str()).filter(|address| !address.is_empty())
    }

    /// The URL under which people reach the server, without a slash at the end: the one that is set or, until one is,
    /// where it listens.
    pub(crate) fn url(&self) -> String {
        if !self.public_url.is_empty() {
            return self.public_url.trim_end_matches('/').to_owned();
        }
        let scheme = if self.tls().is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listen)
    }

    /// Certificate and key, when both are named.
    pub(crate) fn tls(&self) -> Option<TlsFiles> {
        let named = !self.tls_certificate.as_os_str().is_empty() && !self.tls_key.as_os_str().is_empty();
        named.then(|| TlsFiles { certificate: self.tls_certificate.clone(), key: self.tls_key.clone() })
    }

    /// As the server takes them, for what this section says.
    fn http(&self) -> anyhow::Result<server::Settings> {
        let trusted_proxies = self
            .trusted_proxies
            .iter()
            .map(|text| parse_network(text))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(server::Settings {
            public_url: Some(self.public_url.clone()).filter(|url| !url.is_empty()),
            trusted_proxies,
            connections: self.connections,
            drain_timeout: self.drain_timeout.duration(),
            ..server::Settings::default()
        })
    }

    fn check(&self) -> anyhow::Result<()> {
        let (certificate, key) =
            (self.tls_certificate.as_os_str().is_empty(), self.tls_key.as_os_str().is_empty());
        anyhow::ensure!(
            certificate == key,
            "server.tls_certificate and server.tls_key go together; set both or none"
        );
        let url = &self.public_url;
        anyhow::ensure!(
            url.is_empty() || url.starts_with("https://") || url.starts_with("http://"),
            "server.public_url = {url:?} is not a URL; it is one such as https://registry.example.org"
        );
        anyhow::ensure!(self.connections > 0, "server.connections has to be at least 1");
        check_address("server.listen", &self.listen, "localhost:5000")?;
        if let Some(address) = self.operations_listen() {
            check_address("server.operations_listen", address, "localhost:5001")?;
            anyhow::ensure!(
                address != self.listen,
                "server.operations_listen and server.listen are both {address:?}; give operators another port"
            );
        }
        self.http().map(|_| ())
    }
}

fn check_address(key: &str, address: &str, example: &str) -> anyhow::Result<()> {
    let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    anyhow::ensure!(
        matches!(port, Some(Ok(_))),
        "{key} = {address:?} has no port number; it is host:port, such as {example}"
    );
    Ok(())
}

fn parse_network(text: &str) -> anyhow::Result<ipnet::IpNet> {
    text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from)).with_context(|| {
        format!("server.trusted_proxies holds {text:?}, which is neither an address nor a network such as 10.0.0.0/8")
    })
}

/// Content.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StorageSettings {
    /// Folder that holds the content and the database, unless `storage.url` and `database.url` say otherwise.
    pub(crate) data_dir: PathBuf,
    /// A bucket for the content, `s3://bucket/prefix?endpoint=…&region=…&path_style=true&sse=…`; credentials come
    /// from the environment, the profile or the machine's role. Empty for the data folder.
    url: String,
    /// Blobs of this size and above are answered with a redirect to the bucket, unless their registry wants none.
    redirect_from_bytes: u64,
    /// Whether large blobs are answered with redirects at all: clients have to reach the bucket for that.
    redirect: bool,
    /// "durable", or "relaxed" for throw-away use: a power cut may lose what was acknowledged.
    durability: Durability,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./larder-data"),
            url: String::new(),
            redirect_from_bytes: 1024 * 1024,
            redirect: true,
            durability: Durability::Durable,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Durability {
    Durable,
    Relaxed,
}

/// The database.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DatabaseSettings {
    /// `postgres://user:password@host:port/database?sslmode=…`, or `sqlite:PATH`; empty for `larder.db` in the
    /// data folder.
    #[serde(serialize_with = "mask_url")]
    url: SecretString,
    /// Connections that one server opens to PostgreSQL at most.
    connections: usize,
    /// How often an SQLite file that has changed is saved into the storage, where the last 24 are kept for
    /// `larder restore --from latest`; 0s for never.
    snapshots: Text,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { url: SecretString::from(""), connections: 16, snapshots: Duration::from_hours(1).into() }
    }
}

impl DatabaseSettings {
    fn location(&self, data_dir: &Path) -> anyhow::Result<db::Location> {
        let url = self.url.expose_secret();
        if url.is_empty() {
            return Ok(db::Location::Sqlite(data_dir.join("larder.db")));
        }
        if let Some(path) = url.strip_prefix("sqlite:") {
            // Both `sqlite:PATH` and `sqlite:///PATH` are in use.
            let path = path.strip_prefix("//").unwrap_or(path);
            anyhow::ensure!(!path.is_empty(), "database.url = \"sqlite:\" names no file; write sqlite:PATH");
            return Ok(db::Location::Sqlite(PathBuf::from(path)));
        }
        anyhow::ensure!(
            url.starts_with("postgres://") || url.starts_with("postgresql://"),
            "database.url begins with neither postgres:// nor sqlite:; leave it empty for a file in the data folder"
        );
        Ok(db::Location::Postgres { url: url.to_owned(), connections: self.connections })
    }
}

/// Uploads.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UploadSettings {
    /// How long an upload that nobody writes to is kept.
    expire_after: Text,
    /// How long the body of an upload may stand still.
    stall_timeout: Text,
    /// Uploads that one user may have open.
    open_per_user: u32,
}

impl Default for UploadSettings {
    fn default() -> Self {
        let registry = registry::Settings::default();
        Self {
            expire_after: registry.upload_ttl.into(),
            stall_timeout: registry.body_stall.into(),
            open_per_user: registry.open_uploads_per_user,
        }
    }
}

/// Garbage collection.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GcSettings {
    /// Whether the server collects in the background.
    pub(crate) enabled: bool,
    /// Time between two rounds.
    interval: Text,
    /// How long something that may have become garbage is left alone; longer than any push takes.
    grace: Text,
    /// How long bytes stay on disk after the last link to them went.
    trash_delay: Text,
    /// Whether manifests that have no tag, parent or subject are garbage too.
    collect_untagged: bool,
}

impl Default for GcSettings {
    fn default() -> Self {
        let registry = registry::Settings::default();
        Self {
            enabled: true,
            interval: Duration::from_mins(1).into(),
            grace: registry.grace.into(),
            trash_delay: registry.trash_delay.into(),
            collect_untagged: registry.collect_untagged,
        }
    }
}

impl GcSettings {
    /// Time between two rounds.
    pub(crate) fn interval(&self) -> Duration {
        self.interval.duration()
    }
}

/// What the first start creates.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BootstrapSettings {
    /// Password of the user `admin`; empty to have one made and printed.
    #[serde(serialize_with = "mask")]
    pub(crate) admin_password: SecretString,
    /// An organization to begin with; empty for none.
    pub(crate) organization: String,
    /// A registry in it; empty for none.
    pub(crate) registry: String,
}

impl Default for BootstrapSettings {
    fn default() -> Self {
        Self {
            admin_password: SecretString::from(""),
            organization: "demo".to_owned(),
            registry: "main".to_owned(),
        }
    }
}

/// Logs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogSettings {
    /// error, warn, info, debug or trace, or a list for parts, as in `info,db=debug`.
    pub(crate) level: String,
    /// "text" or "json".
    pub(crate) format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Settings {
    fn check(&self) -> anyhow::Result<()> {
        self.server.check()?;
        self.mail.check(&self.server.public_url)?;
        self.auth.check(&self.server.public_url, &self.mail)?;
        anyhow::ensure!(!self.gc.interval().is_zero(), "gc.interval has to be longer than 0s");
        let location = self.database.location(&self.storage.data_dir)?;
        // A file of the data folder would be another one on each server.
        anyhow::ensure!(
            matches!(location, db::Location::Sqlite(_)) || self.auth.has_sealing_key(),
            "database.url is PostgreSQL and auth.sealing_key is not set; `larder config new-key` makes one, and every server of the database takes the same"
        );
        anyhow::ensure!(self.database.connections > 0, "database.connections has to be at least 1");
        anyhow::ensure!(self.uploads.open_per_user > 0, "uploads.open_per_user has to be at least 1");
        Ok(())
    }

    /// Every setting in the form of `larder.toml`, secrets masked.
    pub(crate) fn masked(&self) -> anyhow::Result<String> {
        toml::to_string(self).context("cannot write the settings as TOML")
    }

    pub(crate) fn blob_options(&self) -> blobs::Options {
        let url = &self.storage.url;
        blobs::Options {
            location: if url.is_empty() {
                blobs::Location::Disk(self.storage.data_dir.clone())
            } else {
                blobs::Location::Url(url.clone())
            },
            durability: match self.storage.durability {
                Durability::Durable => blobs::Durability::Durable,
                Durability::Relaxed => blobs::Durability::Relaxed,
            },
        }
    }

    pub(crate) fn database_options(&self) -> anyhow::Result<db::Options> {
        Ok(db::Options {
            location: self.database.location(&self.storage.data_dir)?,
            durability: match self.storage.durability {
                Durability::Durable => db::Durability::Durable,
                Durability::Relaxed => db::Durability::Relaxed,
            },
        })
    }

    /// How often the database is saved into the storage; zero for never.
    pub(crate) fn snapshot_interval(&self) -> Duration {
        self.database.snapshots.duration()
    }

    /// The folder of the database, when that is a file.
    pub(crate) fn database_folder(&self) -> Option<PathBuf> {
        match self.database.location(&self.storage.data_dir) {
            Ok(db::Location::Sqlite(path)) => Some(
                path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")).into(),
            ),
            _ => None,
        }
    }

    /// Whether anything lies in the data folder.
    pub(crate) fn uses_data_dir(&self) -> bool {
        self.storage.url.is_empty() || self.database.url.expose_secret().is_empty()
    }

    /// As the server takes them.
    pub(crate) fn http(&self) -> anyhow::Result<server::Settings> {
        let starting_organization = self.auth.starting_organization;
        Ok(server::Settings { starting_organization, ..self.server.http()? })
    }

    /// As the sign-in takes them. Makes the sealing key when it is to lie in a file and is not there.
    pub(crate) fn sign_in(&self) -> anyhow::Result<auth::Settings> {
        self.auth.settings(&self.mail, &self.server.public_url, self.database_folder().as_deref())
    }

    pub(crate) fn registry(&self) -> registry::Settings {
        registry::Settings {
            upload_ttl: self.uploads.expire_after.duration(),
            open_uploads_per_user: self.uploads.open_per_user,
            body_stall: self.uploads.stall_timeout.duration(),
            grace: self.gc.grace.duration(),
            trash_delay: self.gc.trash_delay.duration(),
            collect_untagged: self.gc.collect_untagged,
            redirect_from: self.storage.redirect.then_some(self.storage.redirect_from_bytes),
        }
    }
}
