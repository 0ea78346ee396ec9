//! The URL of a bucket and what it says.

use url::Url;

/// Which kind of object store the URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    S3,
    Google,
    Azure,
}

/// How the store encrypts what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encryption {
    /// With keys of the store's own (`sse=AES256`).
    Aes256,
    /// With a key of the key management service (`sse=aws:kms:<key id>`).
    Kms(String),
}

/// What the URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) provider: Provider,
    pub(super) bucket: String,
    /// What all keys start with; without slashes around it, possibly empty.
    pub(super) prefix: String,
    pub(super) endpoint: Option<Url>,
    pub(super) region: Option<String>,
    /// Whether the bucket stands in the path of an address and not in its host name.
    pub(super) path_style: bool,
    pub(super) encryption: Option<Encryption>,
}

/// What an `s3://` URL may say after the question mark.
const PARAMETERS: [&str; 4] = ["endpoint", "region", "path_style", "sse"];

impl Settings {
    /// Reads a URL. The error is one line for whoever wrote it, and never repeats a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| {
            format!("the storage URL cannot be read ({error}); write it as s3://bucket/prefix?region=…")
        })?;
        let provider = match url.scheme() {
            "s3" => Provider::S3,
            "gs" => Provider::Google,
            "az" => Provider::Azure,
            other => {
                return Err(format!(
                    "the storage URL starts with {other}://, which is no object store; write s3://, gs:// or az://"
                ));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the storage URL holds a user or password; take them out: credentials come from the \
                 environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), from ~/.aws/credentials, or from the role \
                 of the machine"
                .to_owned());
        }
        let Some(bucket) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(format!("the storage URL names no bucket; write {}://bucket/prefix", url.scheme()));
        };
        if url.port().is_some() || url.fragment().is_some() {
            return Err("the storage URL has a port or a fragment; name another server with ?endpoint=http://host:port"
                .to_owned());
        }
        let prefix = url.path().trim_matches('/').to_owned();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
        let dots = prefix.split('/').any(|segment| segment.is_empty() || segment == "." || segment == "..");
        if !prefix.is_empty() && (dots || !prefix.bytes().all(plain)) {
            return Err(format!(
                "the prefix {prefix:?} of the storage URL has other characters than letters, digits, '-', '_', '.' \
                 and single slashes; choose a plainer one"
            ));
        }
        let mut settings = Self {
            provider,
            bucket: bucket.to_owned(),
            prefix,
            endpoint: None,
            region: None,
            path_style: false,
            encryption: None,
        };
        let mut path_style = None;
        for (name, value) in url.query_pairs() {
            let known = provider == Provider::S3 && PARAMETERS.contains(&name.as_ref());
            match (known, name.as_ref()) {
                (true, "endpoint") => settings.endpoint = Some(endpoint(&value)?),
                (true, "region") => settings.region = Some(region(&value)?),
                (true, "path_style") => path_style = Some(truth(&value)?),
                (true, "sse") => settings.encryption = Some(encryption(&value)?),
                _ => return Err(unknown(provider, &name)),
            }
        }
        // Servers other than that of AWS rarely have a host name for every bucket.
        settings.path_style = path_style.unwrap_or(settings.endpoint.is_some());
        Ok(settings)
    }

    /// How people know the place.
    pub(super) fn place(&self) -> String {
        let scheme = match self.provider {
            Provider::S3 => "s3",
            Provider::Google => "gs",
            Provider::Azure => "az",
        };
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{scheme}://{}{slash}{}", self.bucket, self.prefix)
    }
}

fn endpoint(value: &str) -> Result<Url, String> {
    let url = Url::parse(value)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
        .ok_or_else(|| {
            format!("endpoint={value} in the storage URL is no address; write it as https://host or http://host:port")
        })?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("the endpoint in the storage URL holds more than scheme, host, port and path; take the rest out: \
             credentials come from the environment, from ~/.aws/credentials, or from the role of the machine"
            .to_owned());
    }
    Ok(url)
}

fn region(value: &str) -> Result<String, String> {
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if value.is_empty() || !plain {
        return Err(format!("region={value} in the storage URL is no region; write it as us-east-1"));
    }
    Ok(value.to_owned())
}

fn truth(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("path_style={value} in the storage URL is neither true nor false")),
    }
}

fn encryption(value: &str) -> Result<Encryption, String> {
    match (value, value.strip_prefix("aws:kms:")) {
        ("AES256", _) => Ok(Encryption::Aes256),
        (_, Some(key)) if !key.is_empty() => Ok(Encryption::Kms(key.to_owned())),
        _ => Err(format!(
            "sse={value} in the storage URL is not known; write sse=AES256 or sse=aws:kms:<key id>"
        )),
    }
}

fn unknown(provider: Provider, name: &str) -> String {
    if provider != Provider::S3 {
        return format!(
            "the storage URL says {name}=…, but a gs:// or az:// URL has no parameters; take it out"
        );
    }
    let closest = PARAMETERS
        .into_iter()
        .max_by(|one, other| strsim::jaro(name, one).total_cmp(&strsim::jaro(name, other)))
        .unwrap_or_default();
    format!("the storage URL says {name}=…, which is not known; did you mean {closest}?")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_says_where_and_how() {
        let settings = Settings::parse(
            "s3://images/larder/prod?endpoint=http://127.0.0.1:9000&region=eu-west-1&path_style=false&sse=aws:kms:abc",
        )
        .unwrap();
        assert_eq!((settings.bucket.as_str(), settings.prefix.as_str()), ("images", "larder/prod"));
        assert_eq!(settings.endpoint.as_ref().unwrap().as_str(), "http://127.0.0.1:9000/");
        assert_eq!(settings.region.as_deref(), Some("eu-west-1"));
        assert_eq!(
            (settings.path_style, &settings.encryption),
            (false, &Some(Encryption::Kms("abc".to_owned())))
        );
        assert_eq!(settings.place(), "s3://images/larder/prod");

        let plain = Settings::parse("s3://images").unwrap();
        assert_eq!(
            (plain.prefix.as_str(), plain.path_style, plain.place().as_str()),
            ("", false, "s3://images")
        );
        assert!(Settings::parse("s3://images?endpoint=https://minio.example").unwrap().path_style);
        assert_eq!(Settings::parse("gs://images/x/").unwrap().prefix, "x");
        assert_eq!(Settings::parse("az://images").unwrap().provider, Provider::Azure);
    }

    #[test]
    fn each_mistake_is_named() {
        for (url, said) in [
            ("images", "cannot be read"),
            ("file:///data", "no object store"),
            ("s3:///x", "names no bucket"),
            ("s3://key:secret@images", "credentials come from the environment"),
            ("s3://images:9000", "?endpoint="),
            ("s3://images/a//b", "plainer"),
            ("s3://images/a%20b", "plainer"),
            ("s3://images?endpont=http://x", "did you mean endpoint?"),
            ("s3://images?pathstyle=true", "did you mean path_style?"),
            ("s3://images?endpoint=minio:9000", "is no address"),
            ("s3://images?endpoint=http://a:b@minio", "take the rest out"),
            ("s3://images?path_style=yes", "neither true nor false"),
            ("s3://images?sse=kms", "sse=AES256"),
            ("s3://images?region=", "is no region"),
            ("gs://images?region=x", "has no parameters"),
        ] {
            let error = Settings::parse(url).unwrap_err();
            assert!(error.contains(said), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    proptest! {
        #[test]
        fn reading_a_url_never_panics(text in "(s3|gs)://[a-z:@/?&=.%0-9]{0,40}|\\PC{0,40}") {
            if let Ok(settings) = Settings::parse(&text) {
                prop_assert!(!settings.bucket.is_empty());
                prop_assert!(!settings.prefix.split('/').any(|segment| segment == ".."));
            }
        }
    }
}
