//! Several servers over one PostgreSQL and one bucket, behind a balancer that other people wrote: whatever one
//! of them was told, all of them know, and what one of them loses, none of them does.
//!
//! `LARDER_RACE_SECONDS` sets how long the race with deletions, collectors and kills lasts.

mod coherence;
#[path = "../crash/content.rs"]
#[expect(dead_code, reason = "indexes and referrers are for the tests of crashes and races")]
mod content;
mod outage;
mod race;
mod redirect;
mod refusals;
mod scene;
mod stream;
mod tags;
mod unsteady;
mod upload;
#[path = "../crash/wire.rs"]
mod wire;
