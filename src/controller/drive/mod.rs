//! Drives the reconciles of all watches until the process stops.

mod dispatch;

use std::{future::ready, sync::Arc};

use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream, SelectAll},
};
use kube::{
    Resource,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::sync::{mpsc, watch};

use self::dispatch::dispatch;
use super::{
    context::Context,
    lifecycle::until_true,
    queue::SagaRef,
    reconcile::{error_policy, reconcile},
    watch::streams::{Streams, Watch},
};
use crate::{api::StoredSaga, objects::attempt::saga_of};

/// The caches of one watch on which decisions rest.
struct WatchCaches {
    sagas: Store<StoredSaga>,
    pods_are_listed: watch::Receiver<bool>,
}

/// Reconciles the sagas of all watches until `stopped`, then until the reconciles under way have
/// ended. `enqueued`: the sagas that other parts of the process enqueue.
pub(super) async fn drive(
    watches: Vec<Watch>,
    mut enqueued: mpsc::UnboundedReceiver<SagaRef>,
    context: Arc<Context>,
    stopped: watch::Receiver<bool>,
) {
    let listeners = context.listeners();
    let mut concerned = SelectAll::new();
    let mut caches = Vec::new();
    for watch in watches {
        let streams = watch.streams(&listeners);
        caches.push(WatchCaches {
            sagas: streams.store.clone(),
            pods_are_listed: streams.pods_are_listed.clone(),
        });
        concerned.extend(sagas_of(streams));
    }
    concerned.push(stream::poll_fn(move |task| enqueued.poll_recv(task)).boxed());
    let gauges = context.metrics.reconcile_gauges.clone();
    let begin = move |saga: &SagaRef| {
        let Some(saga) = readable(&caches, saga) else {
            // What is kept for the saga goes to others at once.
            context.outbound.slots.keep(saga, |_| false);
            return None;
        };
        let context = Arc::clone(&context);
        Some(async move {
            let reconciled = reconcile(Arc::clone(&saga), Arc::clone(&context)).await;
            reconciled.unwrap_or_else(|_| error_policy(&saga, &context.memory.failures))
        })
    };
    dispatch(concerned, begin, until_true(stopped), &gauges).await;
}

/// Returns the cached saga of this name. Returns `None` if the saga is gone, or if the Pods of its
/// watch are not listed yet: decisions rest on both caches. (A Job that is missing from the cache
/// is read live: an operator that may not read Jobs does everything else.)
fn readable(caches: &[WatchCaches], saga: &SagaRef) -> Option<Arc<StoredSaga>> {
    let reference = ObjectRef::new(&saga.name).within(&saga.namespace);
    caches.iter().filter(|of| *of.pods_are_listed.borrow()).find_map(|of| of.sagas.get(&reference))
}

/// Returns the sagas that the events of a watch concern.
fn sagas_of(streams: Streams) -> [BoxStream<'static, SagaRef>; 4] {
    let Streams { store, pods_are_listed, sagas, pods, jobs } = streams;
    // No saga is readable before. So every saga that is known then is enqueued again.
    let once_readable = stream::once(until_true(pods_are_listed))
        .flat_map(move |()| stream::iter(store.state()).map(|saga| SagaRef::to(&saga)));
    [
        once_readable.boxed(),
        concerned(sagas, |saga| Some(SagaRef::to(saga))),
        concerned(pods, owner),
        concerned(jobs, owner),
    ]
}

fn concerned<K: Send + 'static>(
    events: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static,
    saga: fn(&K) -> Option<SagaRef>,
) -> BoxStream<'static, SagaRef> {
    events.filter_map(move |event| ready(event.ok().as_ref().and_then(saga))).boxed()
}

/// Returns the saga that controls a Pod or a Job.
fn owner(child: &impl Resource) -> Option<SagaRef> {
    Some(SagaRef::new(child.meta().namespace.as_ref()?, &saga_of(child)?.name))
}

#[cfg(test)]
mod tests;
