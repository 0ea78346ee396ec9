//! Who the client is and under which URL it reached the server, seen through proxies that are trusted.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::HOST;

use crate::{Peer, Settings};

/// The client's own address: that of the connection, or what a trusted proxy says.
pub(crate) fn client(settings: &Settings, peer: Peer, headers: &HeaderMap) -> IpAddr {
    let direct = canonical(peer.address.ip());
    if !is_trusted(settings, direct) {
        return direct;
    }
    // The last address that no trusted proxy added is the client's; what stands before it, it wrote itself.
    let forwarded: Vec<IpAddr> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|item| parse_address(item.trim()))
        .collect();
    forwarded.iter().rev().find(|address| !is_trusted(settings, **address)).copied().unwrap_or(direct)
}

/// Scheme and authority under which the client reached the server, without a slash at the end.
pub(crate) fn base_url(settings: &Settings, peer: Peer, headers: &HeaderMap) -> String {
    if let Some(url) = &settings.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let trusted = is_trusted(settings, canonical(peer.address.ip()));
    let first = |name: &str| -> Option<&str> {
        let value = headers.get(name).filter(|_| trusted)?.to_str().ok()?;
        value.split(',').next().map(str::trim).filter(|value| !value.is_empty())
    };
    let scheme = match first("x-forwarded-proto") {
        Some("https") => "https",
        Some("http") => "http",
        _ if peer.secure => "https",
        _ => "http",
    };
    let host = first("x-forwarded-host")
        .or_else(|| headers.get(HOST)?.to_str().ok())
        .filter(|host| is_authority(host))
        .map_or_else(|| "localhost".to_owned(), str::to_owned);
    format!("{scheme}://{host}")
}

/// A host that would break out of the header or the URL that it is put into is none.
fn is_authority(host: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !host.is_empty() && host.len() <= 261 && host.bytes().all(harmless)
}

fn is_trusted(settings: &Settings, address: IpAddr) -> bool {
    settings.trusted_proxies.iter().any(|network| network.contains(&address))
}

/// An IPv4 address that arrives on an IPv6 socket is the same address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in entries {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn peer(address: &str) -> Peer {
        Peer { address: address.parse().unwrap(), secure: false }
    }

    fn behind_proxy() -> Settings {
        Settings { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Settings::default() }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let headers = headers(&[
            ("host", "registry.internal:5000"),
            ("x-forwarded-for", "203.0.113.7, 198.51.100.9, 10.0.0.3"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "registry.example.org"),
        ]);
        let (near, far) = (peer("10.0.0.2:4000"), peer("192.0.2.1:4000"));
        assert_eq!(client(&behind_proxy(), near, &headers).to_string(), "198.51.100.9");
        assert_eq!(client(&behind_proxy(), far, &headers).to_string(), "192.0.2.1");
        assert_eq!(base_url(&behind_proxy(), near, &headers), "https://registry.example.org");
        assert_eq!(base_url(&behind_proxy(), far, &headers), "http://registry.internal:5000");
    }

    #[test]
    fn a_host_that_breaks_out_of_a_header_is_not_repeated() {
        for host in ["a\"b", "a/b", "a b", "a,b", ""] {
            let headers = headers(&[("host", host)]);
            assert_eq!(base_url(&Settings::default(), peer("192.0.2.1:1"), &headers), "http://localhost");
        }
        let headers = headers(&[("host", "[::1]:5000")]);
        assert_eq!(base_url(&Settings::default(), peer("192.0.2.1:1"), &headers), "http://[::1]:5000");
    }

    #[test]
    fn a_configured_url_wins() {
        let settings =
            Settings { public_url: Some("https://registry.example.org/".to_owned()), ..behind_proxy() };
        assert_eq!(
            base_url(&settings, peer("10.0.0.2:1"), &HeaderMap::new()),
            "https://registry.example.org"
        );
    }
}
