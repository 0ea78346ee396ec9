//! What the server counts about itself, in the text format of Prometheus.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: &'static str,
}

/// Half a millisecond to sixteen seconds.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

/// The server's metrics.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Family<EndpointLabels, Histogram>,
    in_flight: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) password_verifications: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("larder");
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let duration = Family::new_with_constructor(histogram as fn() -> Histogram);
        registry.register(
            "http_request_duration_seconds",
            "Time from a request's head to its answer's head",
            duration.clone(),
        );
        let in_flight = Gauge::default();
        registry.register("http_requests_in_flight", "Requests being answered", in_flight.clone());
        let connections = Gauge::default();
        registry.register("http_connections", "Open connections", connections.clone());
        let password_verifications = Gauge::default();
        registry.register(
            "password_verifications",
            "Passwords compared with a slow hash since the start",
            password_verifications.clone(),
        );
        Self { registry, requests, duration, in_flight, connections, password_verifications }
    }

    pub(crate) fn begin(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn end(&self, endpoint: &'static str, status: u16, took: Duration) {
        self.in_flight.dec();
        self.requests.get_or_create(&RequestLabels { endpoint, status }).inc();
        self.duration.get_or_create(&EndpointLabels { endpoint }).observe(took.as_secs_f64());
    }

    /// All metrics as text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail; an empty answer would show if it did.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
