//! Removes what this process remembers of sagas that ended or were deleted.
//!
//! # Guarantees
//! The removal may begin before all caches are filled. The memory holds only sagas that a cache
//! showed, and a cache that is not filled has shown none.

use std::{collections::HashSet, time::Duration};

use kube::runtime::reflector::Store;

use super::context::Context;
use crate::api::{SagaPhase, StoredSaga};

/// The time between two removals.
const EVERY: Duration = Duration::from_mins(1);

/// Removes old memory at regular intervals. Never returns.
pub(in crate::controller) async fn janitor(context: &Context, sagas: &[Store<StoredSaga>]) {
    let memory = &context.memory;
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        // If the status of a saga cannot be read, the saga may have HTTP requests under way. If the
        // process forgot them, it would send them again.
        let ended = |saga: &StoredSaga| {
            saga.status
                .as_ref()
                .is_ok_and(|status| status.phase.is_some_and(SagaPhase::is_terminal))
        };
        let live: HashSet<String> = sagas
            .iter()
            .flat_map(Store::state)
            .filter(|saga| !ended(saga))
            .filter_map(|saga| saga.metadata.uid.clone())
            .collect();
        memory.writes.forget(|uid| live.contains(uid));
        memory.attempts.forget(|uid| live.contains(uid));
        memory.failures.forget(|uid| live.contains(uid));
        memory.trials.forget(|uid| live.contains(uid));
        memory.versions.forget(|uid| live.contains(uid));
        context.outbound.others.forget();
        context.outbound.circuits.forget();
        let jobs: HashSet<String> = context
            .cluster
            .caches
            .jobs
            .iter()
            .flat_map(Store::state)
            .filter_map(|job| job.metadata.uid.clone())
            .collect();
        memory.job_pods.forget(|uid| jobs.contains(uid));
    }
}

#[cfg(test)]
mod tests {
    use kube::{Client, client::Body};
    use tokio::sync::watch;

    use super::super::{context::fixture, run::tend, watch::sync::CacheSync};
    use super::*;
    use crate::{coordination::election::CacheState, service::admin::Probes};

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_forgotten_although_one_namespace_cannot_be_listed() {
        let nobody = tower::service_fn(|_: http::Request<Body>| {
            std::future::pending::<Result<http::Response<Body>, std::convert::Infallible>>()
        });
        let (context, _announced) = fixture::context(Client::new(nobody, "default"), None);
        let ((_sagas, sagas), (_pods, pods)) = (watch::channel(false), watch::channel(false));
        let never = CacheSync { namespace: Some("shop".into()), sagas, pods };
        context.memory.failures.count("a saga that went");
        let (warms, probes) = (watch::Sender::new(CacheState::Cold), Probes::default());
        tokio::time::timeout(2 * EVERY, tend(&context, &[never], &[], &warms, &probes))
            .await
            .unwrap_err();
        assert_eq!(*warms.borrow(), CacheState::Cold);
        assert_eq!(context.memory.failures.count("a saga that went"), 0);
    }
}
