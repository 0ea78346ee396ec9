//! What the server counts about itself, in the text format of Prometheus.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use registry::CollectionStatus;

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
    collection: Collection,
}

/// How far collection is. All servers over one database show the same.
#[derive(Default)]
struct Collection {
    review_due: Gauge,
    review_waiting: Gauge,
    oldest_due_seconds: Gauge,
    trash_objects: Gauge,
    trash_bytes: Gauge,
    deleted_objects: Gauge,
    freed_bytes: Gauge,
}

impl Collection {
    fn register(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            ("collection_review_due", "Entries that collection may judge now", &self.review_due),
            ("collection_review_waiting", "Entries whose time has not come", &self.review_waiting),
            (
                "collection_oldest_due_seconds",
                "How long the oldest entry that may be judged has been waiting",
                &self.oldest_due_seconds,
            ),
            ("collection_trash_objects", "Objects whose bytes are going to be deleted", &self.trash_objects),
            ("collection_trash_bytes", "Bytes that are going to be deleted", &self.trash_bytes),
            ("collection_deleted_objects", "Objects deleted since the beginning", &self.deleted_objects),
            ("collection_freed_bytes", "Bytes deleted since the beginning", &self.freed_bytes),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    fn set(&self, status: &CollectionStatus) {
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.review_due, status.review_due);
        set(&self.review_waiting, status.review_waiting);
        let waiting = status.review_oldest.map_or(0, |due| status.at.as_millis() - due.as_millis());
        self.oldest_due_seconds.set(waiting.max(0) / 1000);
        set(&self.trash_objects, status.trash_due_objects + status.trash_waiting_objects);
        set(&self.trash_bytes, status.trash_due_bytes + status.trash_waiting_bytes);
        set(&self.deleted_objects, status.deleted_objects);
        set(&self.freed_bytes, status.deleted_bytes);
    }
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
        let collection = Collection::default();
        collection.register(&mut registry);
        Self { registry, requests, duration, in_flight, connections, password_verifications, collection }
    }

    pub(crate) fn begin(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn end(&self, endpoint: &'static str, status: u16, took: Duration) {
        self.in_flight.dec();
        self.requests.get_or_create(&RequestLabels { endpoint, status }).inc();
        self.duration.get_or_create(&EndpointLabels { endpoint }).observe(took.as_secs_f64());
    }

    /// Notes how far collection is.
    pub(crate) fn collection(&self, status: &CollectionStatus) {
        self.collection.set(status);
    }

    /// All metrics as text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail; an empty answer would show if it did.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
