//! Issuers, and what was fetched from them.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, Timestamp};
use parking_lot::Mutex;
use quick_cache::sync::Cache;

use super::discovery::{self, Document};
use super::egress::{Egress, EgressError, Outgoing, Reach};
use super::keys::KeySet;
use super::settings::{Endpoints, SigningAlgorithm};

/// How many issuers beside those of the configuration are remembered with their keys.
const REMEMBERED: usize = 1000;
/// What was fetched is fetched again when it is this old, at its next use.
const FRESH_FOR: Duration = Duration::from_mins(15);
/// What could not be fetched again counts until it is this old.
const USABLE_FOR: Duration = Duration::from_hours(24);
/// How soon one who did not answer and of whom nothing is known is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Every issuer whose tokens may count, each with its own keys.
pub(crate) struct Issuers {
    pub(super) egress: Egress,
    pub(super) clock: Clock,
    /// How often something that was not found is looked for again at an issuer.
    refresh_interval: Duration,
    /// Origins of issuers inside the operator's network.
    internal: Reach,
    /// Those of the configuration.
    configured: Vec<Arc<Issuer>>,
    /// Those of bindings, as they were needed.
    others: Cache<String, Arc<Issuer>>,
}

impl Issuers {
    pub(super) fn new(
        egress: Egress,
        clock: Clock,
        refresh_interval: Duration,
        internal: Reach,
        configured: Vec<Arc<Issuer>>,
    ) -> Self {
        Self { egress, clock, refresh_interval, internal, configured, others: Cache::new(REMEMBERED) }
    }

    /// The issuer of this address. The caller has made sure that somebody who may trusts it.
    pub(super) fn get(&self, url: &str) -> Arc<Issuer> {
        if let Some(issuer) = self.configured.iter().find(|issuer| issuer.url == url) {
            return Arc::clone(issuer);
        }
        if let Some(issuer) = self.others.get(url) {
            return issuer;
        }
        // An issuer from the internet does not get to send us to places inside.
        let reach = if self.internal.contains(url) { self.internal.clone() } else { Reach::default() };
        let issuer = Arc::new(Issuer::new(
            url.to_owned(),
            SigningAlgorithm::ALL.to_vec(),
            Endpoints::default(),
            reach,
        ));
        self.others.insert(url.to_owned(), Arc::clone(&issuer));
        issuer
    }

    /// The keys of an issuer: fresh ones, and fetched anew when there is none of this name, but not more often than
    /// once in the interval. When the issuer is away, those that were fetched before.
    pub(super) async fn keys(&self, issuer: &Issuer, name: &str) -> Result<Arc<KeySet>, EgressError> {
        let fetch = || async {
            let url = if let Some(url) = &issuer.endpoints.jwks_uri {
                url.clone()
            } else {
                let found = self.document(issuer).await?.jwks_uri.clone();
                found.ok_or(EgressError::Unusable("its discovery document has no jwks_uri"))?
            };
            let body = self.egress.fetch(Outgoing::get(&url), &issuer.reach).await?;
            KeySet::parse(&body).ok_or(EgressError::Unusable("its keys are not a key set (RFC 7517)"))
        };
        issuer.keys.get(&self.clock, self.refresh_interval, |keys| keys.names(name), fetch).await
    }

    /// The discovery document of an issuer.
    pub(super) async fn document(&self, issuer: &Issuer) -> Result<Arc<Document>, EgressError> {
        let fetch = || discovery::fetch(&self.egress, &issuer.url, &issuer.reach);
        issuer.document.get(&self.clock, self.refresh_interval, |_| true, fetch).await
    }
}

/// Somebody who signs tokens.
pub(crate) struct Issuer {
    pub(super) url: String,
    pub(super) algorithms: Vec<SigningAlgorithm>,
    pub(super) endpoints: Endpoints,
    /// What it may lead us to beside the public internet.
    pub(super) reach: Reach,
    document: Kept<Document>,
    keys: Kept<KeySet>,
}

impl Issuer {
    pub(super) fn new(
        url: String,
        algorithms: Vec<SigningAlgorithm>,
        endpoints: Endpoints,
        reach: Reach,
    ) -> Self {
        Self { url, algorithms, endpoints, reach, document: Kept::default(), keys: Kept::default() }
    }
}

/// Something that is fetched now and then, by one at a time.
struct Kept<T> {
    state: Mutex<State<T>>,
    turn: tokio::sync::Mutex<()>,
}

struct State<T> {
    value: Option<(Arc<T>, Timestamp)>,
    /// When it was last asked for, and how that ended, unless it ended well.
    asked_at: Option<Timestamp>,
    failure: Option<EgressError>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        let state = State { value: None, asked_at: None, failure: None };
        Self { state: Mutex::new(state), turn: tokio::sync::Mutex::default() }
    }
}

impl<T> Kept<T> {
    /// What is kept, when it is fresh and there is enough in it; else what can be fetched; else what is kept, as
    /// long as it is usable.
    async fn get<F>(
        &self,
        clock: &Clock,
        interval: Duration,
        is_enough: impl Fn(&T) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, EgressError>
    where
        F: Future<Output = Result<T, EgressError>>,
    {
        let fresh = || {
            let state = self.state.lock();
            let (value, at) = state.value.as_ref()?;
            (clock.now().since(*at) < FRESH_FOR && is_enough(value)).then(|| Arc::clone(value))
        };
        if let Some(value) = fresh() {
            return Ok(value);
        }
        // Whoever comes while somebody asks waits for that answer rather than go without.
        if self.may_ask(clock.now(), interval) || self.turn.try_lock().is_err() {
            let _turn = self.turn.lock().await;
            // Somebody may have fetched it while we waited for our turn.
            if let Some(value) = fresh() {
                return Ok(value);
            }
            if self.may_ask(clock.now(), interval) {
                self.begin(clock.now());
                let outcome = fetch().await;
                self.end(clock.now(), outcome);
            }
        }
        let state = self.state.lock();
        match &state.value {
            Some((value, at)) if clock.now().since(*at) < USABLE_FOR => Ok(Arc::clone(value)),
            _ => Err(state.failure.clone().unwrap_or(EgressError::Unreachable)),
        }
    }

    fn may_ask(&self, now: Timestamp, interval: Duration) -> bool {
        let state = self.state.lock();
        let wait = if state.value.is_some() { interval } else { interval.min(RETRY_AFTER) };
        state.asked_at.is_none_or(|at| now.since(at) >= wait)
    }

    /// Written down before the answer is there: whoever asks and hangs up has asked.
    fn begin(&self, now: Timestamp) {
        self.state.lock().asked_at = Some(now);
    }

    fn end(&self, now: Timestamp, outcome: Result<T, EgressError>) {
        let mut state = self.state.lock();
        match outcome {
            Ok(value) => {
                state.value = Some((Arc::new(value), now));
                state.failure = None;
            }
            Err(error) => state.failure = Some(error),
        }
    }
}

#[cfg(test)]
mod tests;
