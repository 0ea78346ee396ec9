//! The one way out: every request that this program makes on behalf of something that a stranger may have
//! chosen goes through here.
//!
//! Over TLS, to addresses of the public internet, without a proxy and without following redirects, within five
//! seconds and one MiB. A host name is resolved once and the connection goes to the very addresses that were
//! looked at, so a name that changes its mind in between gains nothing. Only origins that the operator has named
//! are reached otherwise, and only from issuers that the operator has named too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Url};
use url::Host;

/// Bytes of an answer at the most.
const LARGEST: usize = 1024 * 1024;
/// Bytes of an address at the most.
const LONGEST_URL: usize = 2048;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EgressError {
    /// It was not asked at all.
    #[error("it was not asked: {0}")]
    NotAllowed(&'static str),
    /// Nothing usable came back.
    #[error("it could not be reached")]
    Unreachable,
    /// The answer did not end in time.
    #[error("it did not answer within the time limit")]
    TooSlow,
    /// The answer did not end below the limit.
    #[error("its answer is larger than 1 MiB")]
    TooLarge,
    /// It answered with something else than success; redirects are not followed.
    #[error("it answered with status {0}")]
    Status(u16),
    /// It answered something that is not what it should be.
    #[error("{0}")]
    Unusable(&'static str),
}

/// The origins (RFC 6454 §6.2) that may be reached although they are not on the public internet, or speak plain
/// HTTP.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach(Arc<[String]>);

impl Reach {
    /// Those that these addresses belong to.
    pub(crate) fn of<'u>(addresses: impl IntoIterator<Item = &'u str>) -> Self {
        Self(addresses.into_iter().filter_map(origin).collect())
    }

    /// Whether this address belongs to one of them.
    pub(crate) fn contains(&self, address: &str) -> bool {
        origin(address).is_some_and(|origin| self.0.contains(&origin))
    }

    /// These and those.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(other.0.iter()).cloned().collect())
    }
}

fn origin(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.origin().ascii_serialization())
}

/// A request to somebody else.
pub(crate) struct Outgoing<'a> {
    /// Where to.
    pub(crate) url: &'a str,
    /// Sent with POST when there is one: media type and bytes.
    pub(crate) body: Option<(&'static str, Vec<u8>)>,
    /// Header fields beside the usual ones.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl<'a> Outgoing<'a> {
    /// A plain GET.
    pub(crate) fn get(url: &'a str) -> Self {
        Self { url, body: None, headers: Vec::new() }
    }

    /// The same with a bearer token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), format!("Bearer {token}"))
    }

    /// The same with one more header field.
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// The client for everything outward.
pub(crate) struct Egress {
    /// Connects to public addresses only.
    guarded: reqwest::Client,
    /// Connects to wherever a name leads; for origins that the operator has named.
    trusted: reqwest::Client,
}

impl Egress {
    /// A client whose requests take `longest` at the most.
    pub(crate) fn new(longest: Duration) -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("larder/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .timeout(longest)
                .pool_max_idle_per_host(1)
        };
        Ok(Self {
            guarded: builder().dns_resolver(Arc::new(PublicOnly)).build()?,
            trusted: builder().build()?,
        })
    }

    /// Asks, and returns the body of a success.
    pub(crate) async fn fetch(&self, outgoing: Outgoing<'_>, reach: &Reach) -> Result<Vec<u8>, EgressError> {
        let answer = self.send(outgoing, reach).await?;
        if answer.status == 200 { Ok(answer.body) } else { Err(EgressError::Status(answer.status)) }
    }

    /// Asks, and returns whatever the answer is.
    pub(crate) async fn send(&self, outgoing: Outgoing<'_>, reach: &Reach) -> Result<Answer, EgressError> {
        let (url, is_trusted) = check(outgoing.url, reach)?;
        let client = if is_trusted { &self.trusted } else { &self.guarded };
        let mut request = match outgoing.body {
            None => client.request(Method::GET, url),
            Some((media_type, body)) => {
                client.request(Method::POST, url).header(CONTENT_TYPE, media_type).body(body)
            }
        };
        request = request.header(ACCEPT, "application/json");
        for (name, value) in outgoing.headers {
            request = request.header(name, value);
        }
        receive(request).await
    }
}

async fn receive(request: RequestBuilder) -> Result<Answer, EgressError> {
    let mut response = request.send().await.map_err(|error| failure(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > LARGEST {
            return Err(EgressError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status: response.status().as_u16(), body })
}

fn failure(error: &reqwest::Error) -> EgressError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return EgressError::NotAllowed(NOT_PUBLIC);
        }
        cause = error.source();
    }
    if error.is_timeout() { EgressError::TooSlow } else { EgressError::Unreachable }
}

const NOT_PUBLIC: &str = "its address is not one of the public internet, name its origin among the internal issuers if it may be asked";

/// Whether this address may be asked, and whether it was named by the operator.
fn check(address: &str, reach: &Reach) -> Result<(Url, bool), EgressError> {
    let refuse = |reason| Err(EgressError::NotAllowed(reason));
    if address.len() > LONGEST_URL {
        return refuse("its address is longer than 2048 bytes");
    }
    let Ok(url) = Url::parse(address) else { return refuse("its address is not a URL") };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("its address has a user name in it");
    }
    let is_trusted = reach.contains(address);
    if !matches!((url.scheme(), is_trusted), ("https", _) | ("http", true)) {
        return refuse("its address does not begin with https://");
    }
    // A name is looked at when it is resolved. The parser has brought every spelling of an address (decimal,
    // octal, short, bracketed) into one form.
    let is_public = match url.host() {
        Some(Host::Domain(_)) => true,
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        None => false,
    };
    if is_public || is_trusted { Ok((url, is_trusted)) } else { refuse(NOT_PUBLIC) }
}

/// Resolves names, and keeps of the addresses only those of the public internet.
struct PublicOnly;

/// None of a name's addresses is public.
#[derive(Debug, thiserror::Error)]
#[error("no public address")]
struct NotPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<_> = addresses.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to a host of the public internet, by the registries of special addresses that
/// RFC 6890 set up, and leaving out what stands for another address.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// First address and length of the prefix of every block of IPv4 that is not public.
const SPECIAL_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    // Link-local, and where clouds answer about the machine that asks.
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast, then reserved and broadcast.
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    // The host services of one cloud, on an address that looks public.
    ([168, 63, 129, 16], 32),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(first, length)| {
        let shift = 32 - length;
        bits >> shift == u32::from_be_bytes(*first) >> shift
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        // Translated to the IPv4 address in its last 32 bits (RFC 6052 §2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // Protocol assignments, Teredo and others that tunnel; documentation; 6to4.
        [0x2001, second, ..] if second < 0x200 => false,
        [0x2001, 0xdb8, ..] | [0x2002, ..] => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Of the rest only global unicast: no loopback, no mapped IPv4, no unique local, no link-local, no multicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests;
