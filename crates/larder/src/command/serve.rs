//! `larder serve`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use server::{Entrances, Listeners, Readiness, Server};
use tokio::signal::unix::{SignalKind, signal};

use crate::open::Opened;
use crate::settings::Settings;
use crate::{bootstrap, logging, snapshot, worker};

pub(super) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    logging::start(&settings.log)?;
    // Taken before anything is opened, so that a second server says which address is taken.
    let public = Listeners::bind(&settings.server.listen, "--listen").await?;
    let operations = match settings.server.operations_listen() {
        Some(address) => Some(Listeners::bind(address, "server.operations_listen").await?),
        None => None,
    };
    let opened = Opened::for_serving(&settings).await?;
    opened.registry.expect_no_lost_database().await?;
    bootstrap::run(&opened, &settings).await.context("the first start could not be completed")?;
    let server =
        Server::new(opened.registry.clone(), opened.auth.clone(), settings.http()?, readiness(&opened));
    for address in public.addresses() {
        tracing::info!(%address, tls = settings.server.tls().is_some(), "listening on {address}");
    }
    for address in operations.iter().flat_map(Listeners::addresses) {
        tracing::info!(%address, "listening on {address} for operators");
    }
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping: requests under way are finished first");
    };
    let worker = worker::start(&opened, &settings.gc);
    let snapshots = snapshot::start(&opened, &settings);
    server.serve(Entrances { public, tls: settings.server.tls(), operations }, stop).await?;
    worker.stop().await;
    if let Some(snapshots) = snapshots {
        snapshots.stop().await;
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Ready is who can take a push: a row and a file can be written.
fn readiness(opened: &Opened) -> Readiness {
    let (db, blobs) = (opened.db.clone(), opened.blobs.clone());
    Arc::new(move || {
        let (db, blobs) = (db.clone(), blobs.clone());
        async move {
            db.probe().await.map_err(|error| format!("database: {error}"))?;
            blobs.probe().await.map_err(|error| format!("storage: {error}"))
        }
        .boxed()
    })
}
