//! Drives the reconciles of one watch until the process stops.

use std::sync::Arc;

use futures::StreamExt;
use kube::runtime::{Config, Controller, controller::Error as ControllerError};
use tokio::sync::watch;

use super::{
    cluster::error::chain,
    context::Context,
    lifecycle::until_true,
    reconcile::{error_policy, reconcile},
    watch::streams::{Streams, Watch},
};

/// The number of reconciles that run at once.
const CONCURRENCY: u16 = 64;

/// Runs the controller until `stopped`, then until the reconciles under way have ended.
pub(super) async fn drive(watch: Watch, context: Arc<Context>, stopped: watch::Receiver<bool>) {
    let listeners = context.listeners();
    let Streams { store, pods_are_listed, sagas, pods, jobs, enqueued } = watch.streams(&listeners);
    // Decisions rest on both caches, so none is made before the Pods are listed. A Job that is
    // missing from the cache is read live: an operator that may not read Jobs does everything else.
    Controller::for_stream(sagas, store)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .owns_stream(pods)
        .owns_stream(jobs)
        .reconcile_on(enqueued)
        .graceful_shutdown_on(until_true(stopped))
        .run(
            move |saga, context| {
                let mut listed = pods_are_listed.clone();
                async move {
                    // A watch ends only when the process stops. Then nothing new begins.
                    let _ = listed.wait_for(|listed| *listed).await;
                    reconcile(saga, context).await
                }
            },
            |saga, _, context| error_policy(&saga, &context.memory.failures),
            context,
        )
        .for_each(|result| {
            if let Err(ControllerError::QueueError(error)) = &result {
                tracing::warn!(error = chain(error), "the queue of sagas failed");
            }
            std::future::ready(())
        })
        .await;
}
