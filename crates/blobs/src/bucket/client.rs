//! Talking to an object store: which library store stands behind a URL, and how patient it is.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::signer::Signer;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::profile::{self, Profile};
use super::settings::{Encryption, Provider, Settings};

/// What the store is asked through.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) multipart: Arc<dyn MultipartStore>,
    pub(super) signer: Arc<dyn Signer>,
}

/// How long a request may take and how often it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// For content: ten tries within half a minute, so that a store that is slow for a moment costs nobody a push.
    Long,
    /// For checks: somebody waits for the answer.
    Short,
}

/// How long a connection may be silent while content is read or written.
const SILENCE: Duration = Duration::from_mins(1);

impl Client {
    /// The store that the settings name. The error is one line that says which setting is wrong.
    pub(super) fn new(settings: &Settings, patience: Patience) -> Result<Self, String> {
        match settings.provider {
            Provider::S3 => s3(settings, patience),
            Provider::Google => {
                let built = GoogleCloudStorageBuilder::from_env()
                    .with_bucket_name(&settings.bucket)
                    .with_retry(retry(patience))
                    .with_client_options(options(patience))
                    .build();
                built.map(Self::from_store).map_err(|error| refused(settings, &error))
            }
            Provider::Azure => {
                let built = MicrosoftAzureBuilder::from_env()
                    .with_container_name(&settings.bucket)
                    .with_retry(retry(patience))
                    .with_client_options(options(patience))
                    .build();
                built.map(Self::from_store).map_err(|error| refused(settings, &error))
            }
        }
    }

    fn from_store(store: impl ObjectStore + MultipartStore + Signer) -> Self {
        let store = Arc::new(store);
        Self { store: Arc::clone(&store) as _, multipart: Arc::clone(&store) as _, signer: store }
    }
}

fn s3(settings: &Settings, patience: Patience) -> Result<Client, String> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&settings.bucket)
        .with_retry(retry(patience))
        // Not every server knows how to delete many at once, and none tells so well what went wrong with one.
        .with_disable_bulk_delete(true)
        .with_virtual_hosted_style_request(!settings.path_style);
    let profile = profile::from_environment()?;
    if let Some(Profile { access_key, secret_key, token, .. }) = &profile {
        builder = builder.with_access_key_id(access_key).with_secret_access_key(secret_key);
        if let Some(token) = token {
            builder = builder.with_token(token);
        }
    }
    let named = std::env::var_os("AWS_REGION").or_else(|| std::env::var_os("AWS_DEFAULT_REGION")).is_some();
    let region =
        settings.region.clone().or_else(|| profile.and_then(|profile| profile.region).filter(|_| !named));
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    let mut allow_http = false;
    if let Some(endpoint) = &settings.endpoint {
        allow_http = endpoint.scheme() == "http";
        let mut endpoint = endpoint.clone();
        if !settings.path_style {
            let host = format!("{}.{}", settings.bucket, endpoint.host_str().unwrap_or_default());
            endpoint.set_host(Some(&host)).map_err(|error| {
                format!(
                    "the bucket {} cannot stand in a host name ({error}); set path_style=true",
                    settings.bucket
                )
            })?;
        }
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
    }
    builder = match &settings.encryption {
        None => builder,
        Some(Encryption::Kms(key)) => builder.with_sse_kms_encryption(key),
        Some(Encryption::Aes256) => {
            let key = "aws_server_side_encryption".parse().map_err(|error| refused(settings, &error))?;
            builder.with_config(key, "AES256")
        }
    };
    let options = options(patience).with_allow_http(allow_http);
    builder
        .with_client_options(options)
        .build()
        .map(Client::from_store)
        .map_err(|error| refused(settings, &error))
}

fn refused(settings: &Settings, error: &object_store::Error) -> String {
    let error = error.to_string().replace('\n', " ");
    format!(
        "the object store {} cannot be used: {error}; check its URL and the environment",
        settings.place()
    )
}

fn retry(patience: Patience) -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        base: 2.0,
    };
    match patience {
        Patience::Long => RetryConfig { backoff, max_retries: 10, retry_timeout: Duration::from_secs(30) },
        Patience::Short => RetryConfig { backoff, max_retries: 2, retry_timeout: Duration::from_secs(3) },
    }
}

fn options(patience: Patience) -> ClientOptions {
    let options = ClientOptions::new().with_connect_timeout(Duration::from_secs(5));
    match patience {
        // Large content takes as long as it takes; only silence is limited.
        Patience::Long => options.with_timeout_disabled().with_read_timeout(SILENCE),
        Patience::Short => options.with_timeout(Duration::from_secs(5)),
    }
}
