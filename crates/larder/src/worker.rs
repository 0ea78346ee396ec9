//! Work in the background: collection, and the upkeep of keys and of what is over.

use std::fmt::Display;
use std::time::Duration;

use auth::Auth;
use registry::{Pace, Registry};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::open::Opened;
use crate::settings::GcSettings;

/// How often keys are looked after, and what is over is removed.
const UPKEEP: Duration = Duration::from_mins(30);
/// How many batches of one kind are removed at a time at the most. Each is a short transaction, and a server that
/// stops waits for them.
const BATCHES: usize = 100;

/// The running worker.
pub(crate) struct Worker {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts the worker.
pub(crate) fn start(opened: &Opened, settings: &GcSettings) -> Worker {
    let (stop, mut stopped) = oneshot::channel();
    let (registry, auth) = (opened.registry.clone(), opened.auth.clone());
    let (every, enabled) = (settings.interval(), settings.enabled);
    let task = tokio::spawn(async move {
        let mut collect = interval(every);
        collect.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut upkeep = interval(UPKEEP);
        loop {
            // A step under way is finished before the program stops: each is short.
            tokio::select! {
                biased;
                _ = &mut stopped => return,
                _ = collect.tick(), if enabled => match registry.collect(Pace::BesideRequests).await {
                    Ok(collected) if collected.is_empty() => {}
                    Ok(collected) => tracing::info!(?collected, "collected garbage"),
                    Err(error) => tracing::error!(error = %error, "collection failed; it is tried again"),
                },
                _ = upkeep.tick() => look_after(&auth, &registry).await,
            }
        }
    });
    Worker { stop, task }
}

impl Worker {
    /// Stops the worker once its present step is done.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// One round. Nothing of it decides whether something counts: what is over is refused by whoever reads it.
async fn look_after(auth: &Auth, registry: &Registry) {
    if let Err(error) = auth.rotate_keys().await {
        tracing::error!(%error, "signing keys could not be looked after");
    }
    remove("tokens", || auth.tokens_remove_expired()).await;
    remove("sessions", || auth.sessions_remove_expired()).await;
    remove("codes in mails", || auth.mail_codes_remove_expired()).await;
    remove("accounts that nobody confirmed", || auth.unconfirmed_remove()).await;
    remove("records of exchanged tokens", || auth.used_assertions_remove_expired()).await;
    remove("invitations", || registry.invitations_remove_expired()).await;
}

/// Removes batches of what is over until none is left.
async fn remove<Removal, Error>(what: &str, batch: impl Fn() -> Removal)
where
    Removal: Future<Output = Result<u64, Error>>,
    Error: Display,
{
    for _ in 0..BATCHES {
        match batch().await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::error!(what, %error, "what is over could not be removed; it is tried again");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many batches are asked for when the first `full` of them find something.
    async fn batches(full: usize) -> usize {
        let asked = Cell::new(0);
        remove("things", || {
            asked.set(asked.get() + 1);
            let found = u64::from(asked.get() <= full);
            async move { Ok::<_, String>(found) }
        })
        .await;
        asked.get()
    }

    #[tokio::test]
    async fn removal_goes_on_until_nothing_is_left() {
        assert_eq!(batches(0).await, 1);
        assert_eq!(batches(3).await, 4);
        assert_eq!(batches(usize::MAX).await, BATCHES);
    }

    #[tokio::test]
    async fn removal_that_fails_waits_for_the_next_round() {
        let asked = Cell::new(0);
        remove("things", || {
            asked.set(asked.get() + 1);
            async { Err("the database is away") }
        })
        .await;
        assert_eq!(asked.get(), 1);
    }
}
