//! Where content comes from and where it goes, as the user types it.

use std::path::PathBuf;
use std::str::FromStr;

use oci::{Reference, RepositoryName};
use reqwest::Url;

/// An address that cannot be used: what is wrong with it and what it should look like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(String);

fn wrong<T>(message: impl Into<String>) -> Result<T, AddressError> {
    Err(AddressError(message.into()))
}

/// A registry's scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    url: Url,
}

impl Site {
    /// `host` or `host:port`, as people write it in a reference.
    pub(crate) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The address of `path`, which begins with a slash and may have a query.
    pub(crate) fn at(&self, path: &str) -> Url {
        self.url.join(path).expect("our paths hold only names, digests and encoded queries")
    }

    /// Whether credentials for this registry may go to `url`: scheme, host and port are the same.
    pub(crate) fn owns(&self, url: &Url) -> bool {
        self.url.origin() == url.origin()
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// Whether this machine serves it, so that no proxy may stand between.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// Splits an address into its site and the path behind it, without slashes at either end.
    fn parse(text: &str) -> Result<(Self, String), AddressError> {
        let url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => url,
            _ => {
                let shown = oci::excerpt(text);
                return wrong(format!("\"{shown}\" is not the address of a registry; write https://host/…"));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong(
                "an address must not hold a user name or a password: others can read them in the list of \
                 processes; name the user with an option and give the password in the environment",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong(format!(
                "the address {url} must not have a query or a fragment; leave out what follows the path"
            ));
        }
        // Names are lower case and need no encoding, so the path is taken as it was typed.
        let path = url.path().trim_matches('/').to_owned();
        let mut site = url;
        site.set_path("/");
        Ok((Self { url: site }, path))
    }
}

/// What an import reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceAddress {
    /// A running registry.
    Registry(RegistryAddress),
    /// The data directory of a registry of the distribution project.
    Directory(PathBuf),
}

/// A registry as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryAddress {
    pub(crate) site: Site,
}

impl FromStr for SourceAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("file://") {
            return if path.starts_with('/') {
                Ok(Self::Directory(PathBuf::from(path)))
            } else {
                wrong("a file address has three slashes: file:///var/lib/registry")
            };
        }
        if !text.contains("://") {
            if text.is_empty() {
                return wrong("the source is empty; write https://host or the path of a data directory");
            }
            return Ok(Self::Directory(PathBuf::from(text)));
        }
        let (site, path) = Site::parse(text)?;
        if !path.is_empty() && path != "v2" {
            let repository = oci::excerpt(&path);
            return wrong(format!(
                "a source is a whole registry; write {} and choose with --repository '{repository}' or '{repository}/*'",
                site.url.as_str().trim_end_matches('/')
            ));
        }
        Ok(Self::Registry(RegistryAddress { site: docker_hub(site) }))
    }
}

/// Docker Hub's registry does not live where its names point.
fn docker_hub(site: Site) -> Site {
    if matches!(site.url.host_str(), Some("docker.io" | "index.docker.io" | "hub.docker.com")) {
        let url = Url::parse("https://registry-1.docker.io/").expect("a constant address");
        return Site { url };
    }
    site
}

/// What an import writes to: everything goes below `<organization>/<registry>[/prefix]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetAddress {
    pub(crate) site: Site,
    prefix: String,
}

impl TargetAddress {
    /// What a repository of the source is called at the target.
    pub fn repository(&self, source: &str) -> Result<RepositoryName, oci::NameError> {
        format!("{}/{source}", self.prefix).parse()
    }
}

impl FromStr for TargetAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (site, path) = Site::parse(text)?;
        if path.split('/').filter(|part| !part.is_empty()).count() < 2 {
            return wrong(format!(
                "\"{}\" names no registry to import into; write http(s)://host/<organization>/<registry>, with a prefix \
                 behind it if you like",
                oci::excerpt(text)
            ));
        }
        // Anything at all below it has to be a valid name.
        if let Err(error) = format!("{path}/x").parse::<RepositoryName>() {
            return wrong(error.to_string());
        }
        Ok(Self { site, prefix: path })
    }
}

/// What an export reads: one repository, or one tag or manifest in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageAddress {
    pub(crate) site: Site,
    pub(crate) repository: String,
    pub(crate) reference: Option<Reference>,
}

impl FromStr for ImageAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (site, path) = Site::parse(text)?;
        let path = path.strip_prefix("v2/").unwrap_or(&path);
        let (repository, reference) = match (path.split_once('@'), path.rsplit_once(':')) {
            // A tag beside a digest only reminds the reader; the digest decides.
            (Some((name, digest)), _) => (name.split_once(':').map_or(name, |(name, _)| name), Some(digest)),
            (None, Some((name, tag))) => (name, Some(tag)),
            (None, None) => (path, None),
        };
        if let Err(error) = repository_name(repository) {
            return wrong(error);
        }
        let reference = match reference.map(str::parse::<Reference>).transpose() {
            Ok(reference) => reference,
            Err(error) => return wrong(error.to_string()),
        };
        Ok(Self { site: docker_hub(site), repository: repository.to_owned(), reference })
    }
}

/// Checks a name by the grammar of the distribution specification, which does not ask for three components.
pub(crate) fn repository_name(text: &str) -> Result<(), String> {
    // Two components in front make any valid name one of ours; what is too long shows by itself.
    match format!("o/r/{text}").parse::<RepositoryName>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("\"{}\" is not the name of a repository", oci::excerpt(text))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sources() {
        let registry = |text: &str| match text.parse::<SourceAddress>() {
            Ok(SourceAddress::Registry(registry)) => registry.site,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(registry("https://registry.example/").host(), "registry.example");
        assert_eq!(registry("http://localhost:5000/v2/").host(), "localhost:5000");
        assert_eq!(registry("https://docker.io").host(), "registry-1.docker.io");
        assert!(registry("http://[::1]:5000").is_local() && !registry("http://10.0.0.1").is_local());
        let directory = |text: &str| match text.parse::<SourceAddress>() {
            Ok(SourceAddress::Directory(path)) => path,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(directory("file:///var/lib/registry"), PathBuf::from("/var/lib/registry"));
        assert_eq!(directory("./data"), PathBuf::from("./data"));
    }

    #[test]
    fn wrong_addresses_teach() {
        let source = |text: &str| text.parse::<SourceAddress>().unwrap_err().to_string();
        assert!(source("https://user:secret@host").contains("password"));
        assert!(!source("https://user:secret@host").contains("secret"));
        assert!(source("https://host/team/app").contains("--repository 'team/app'"));
        assert!(source("ftp://host").contains("https://host"));
        assert!(source("file://host/x").contains("three slashes"));
        assert!(source("https://host/?q=1").contains("query"));
        let target = |text: &str| text.parse::<TargetAddress>().unwrap_err().to_string();
        assert!(target("http://localhost:5000/acme").contains("<organization>/<registry>"));
        assert!(target("http://localhost:5000/acme/Prod").contains("lower-case"));
        let image = |text: &str| text.parse::<ImageAddress>().unwrap_err().to_string();
        assert!(image("http://h/a/b/c:").contains("not a tag"));
        assert!(image("http://h/a/b/c@sha256:1").contains("digest"));
        assert!(image("http://h/").contains("not the name of a repository"));
    }

    #[test]
    fn names_go_below_the_prefix() {
        let target: TargetAddress = "http://localhost:5000/acme/prod/old/".parse().unwrap();
        assert_eq!(target.repository("a/b").unwrap().as_str(), "acme/prod/old/a/b");
        assert!(target.repository("A").is_err());
    }

    #[test]
    fn images() {
        let image: ImageAddress = "http://h:1/acme/prod/app:1.0".parse().unwrap();
        assert_eq!((image.repository.as_str(), image.site.host().as_str()), ("acme/prod/app", "h:1"));
        assert_eq!(image.reference, Some("1.0".parse().unwrap()));
        let digest = format!("sha256:{}", "0".repeat(64));
        let both: ImageAddress = format!("http://h/acme/prod/app:1.0@{digest}").parse().unwrap();
        assert_eq!(both.repository, "acme/prod/app");
        assert_eq!(both.reference, Some(digest.parse().unwrap()));
        assert_eq!("http://h/a/b/c".parse::<ImageAddress>().unwrap().reference, None);
    }

    proptest! {
        #[test]
        fn never_panics(text in "(https?://)?[a-z0-9@:/._-]{0,30}") {
            let _ = text.parse::<SourceAddress>();
            let _ = text.parse::<TargetAddress>();
            let _ = text.parse::<ImageAddress>();
        }
    }
}
