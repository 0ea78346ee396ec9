//! Work in the background: collection, and the upkeep of tokens and keys.

use std::time::Duration;

use registry::Pace;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::open::Opened;
use crate::settings::GcSettings;

/// How often keys and tokens are looked after.
const UPKEEP: Duration = Duration::from_mins(30);

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
                _ = upkeep.tick() => {
                    if let Err(error) = auth.rotate_keys().await {
                        tracing::error!(%error, "signing keys could not be looked after");
                    }
                    if let Err(error) = auth.tokens_remove_expired().await {
                        tracing::error!(%error, "expired tokens could not be removed");
                    }
                }
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
