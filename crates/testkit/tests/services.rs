//! The services that the other tests stand on do what is asked of them, and leave nothing behind.

#[path = "services/balancer.rs"]
mod balancer;
#[path = "services/bucket.rs"]
mod bucket;
#[path = "services/postgres.rs"]
mod postgres;
