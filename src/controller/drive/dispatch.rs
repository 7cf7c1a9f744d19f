//! The loop that starts reconciles: at most 64 at once in this process, in turns among namespaces.
//!
//! ```text
//!  events, enqueued sagas, due timers ──► Shares ──► running reconciles
//!                                           ▲                │
//!                                           └── timer ◄── Action
//! ```
//! kube's own controller is not used: once all its places are taken, it starts the sagas that wait
//! in no order.
//!
//! # Guarantees
//! - A reconcile begins with what the cache shows then, not with what it showed when the saga was
//!   enqueued. The queue holds only names.
//! - A reconcile that panics harms one saga only.

use std::{future::pending, panic::AssertUnwindSafe, pin::pin};

use futures::{FutureExt, Stream, StreamExt};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    api::limits::{
        MAX_CONTENDED_RECONCILES_PER_NAMESPACE, MAX_RECONCILES, MAX_RECONCILES_PER_NAMESPACE,
    },
    controller::{
        queue::SagaRef,
        reconcile::{LAST_WAIT, requeue::Action},
    },
    coordination::shares::{Bounds, Shares},
    service::reconciles::ReconcileGauges,
};

/// How many reconciles run at once.
const AT_ONCE: Bounds = Bounds {
    all: MAX_RECONCILES,
    namespace: MAX_RECONCILES_PER_NAMESPACE,
    contended: MAX_CONTENDED_RECONCILES_PER_NAMESPACE,
};

/// Starts the reconciles of the sagas that come in, until `stopped`. Then waits until the
/// reconciles under way have ended.
///
/// `begin`: returns the reconcile of a saga, or `None` if there is nothing to do for the saga.
pub(super) async fn dispatch<R>(
    mut sagas: impl Stream<Item = SagaRef> + Unpin,
    mut begin: impl FnMut(&SagaRef) -> Option<R>,
    stopped: impl Future<Output = ()>,
    gauges: &ReconcileGauges,
) where
    R: Future<Output = Action> + Send + 'static,
{
    let mut stopped = pin!(stopped);
    let mut shares = Shares::new(AT_ONCE);
    let mut running = JoinSet::new();
    loop {
        shares.due(Instant::now().into_std());
        while let Some((namespace, name)) = shares.start() {
            let saga = SagaRef { namespace, name };
            match begin(&saga) {
                Some(reconcile) => drop(running.spawn(ended(saga, reconcile))),
                None => shares.ended(&saga.namespace, saga.name, None),
            }
        }
        gauges.set(shares.running(), shares.waiting());
        tokio::select! {
            () = &mut stopped => break,
            saga = sagas.next() => match saga {
                Some(SagaRef { namespace, name }) => shares.push(&namespace, name),
                // A watch ends only when the process stops.
                None => break,
            },
            Some(Ok((saga, action))) = running.join_next() => note(&mut shares, saga, action),
            () = until(shares.next_due()) => {}
        }
    }
    while let Some(ended) = running.join_next().await {
        if let Ok((saga, action)) = ended {
            note(&mut shares, saga, action);
        }
        gauges.set(shares.running(), shares.waiting());
    }
}

/// Waits for the end of a reconcile.
async fn ended(saga: SagaRef, reconcile: impl Future<Output = Action>) -> (SagaRef, Action) {
    let action = AssertUnwindSafe(reconcile).catch_unwind().await;
    (saga, action.unwrap_or_else(|_| Action::requeue(LAST_WAIT)))
}

/// Notes the end of a reconcile.
fn note(shares: &mut Shares<String>, saga: SagaRef, action: Action) {
    let again = action.after.map(|after| (Instant::now() + after).into_std());
    shares.ended(&saga.namespace, saga.name, again);
}

/// Waits until an instant, if there is one.
async fn until(instant: Option<std::time::Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
