//! Many clients at the same content while the collector runs as often as it can and protects nothing: no
//! manifest that was acknowledged ever loses what it names, no tag loses an update, and nobody gets an error
//! that is the server's fault.
//!
//! `LARDER_RACE_SECONDS` sets how long each of the races with the collector lasts.

mod client;
mod collection;
#[path = "../crash/content.rs"]
mod content;
mod python;
mod tags;
#[path = "../crash/wire.rs"]
mod wire;
