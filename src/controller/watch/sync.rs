//! Whether the caches are filled. No saga is reconciled before.
//!
//! # Guarantees
//! A namespace that the operator may not read, or that is gone, holds nothing up for longer than 30
//! s. The operator is ready and may lead for the other namespaces. The log says what to do about
//! such a namespace. An operator that can read no namespace at all is never ready. The same holds
//! for an operator that watches the whole cluster and may not read it.
//!
//! # Caveats
//! Nothing here waits for a store to be ready. Of several tasks that wait for one store, only the
//! last is woken.

use std::time::Duration;

use futures::future::{join_all, select_all};
use kube::runtime::watcher::{self, Event};
use tokio::{
    sync::watch::{Receiver, Sender},
    time,
};

use crate::{controller::cluster::watch_health::WatchHealth, coordination::election::CacheState};

/// The time between two checks whether a watch is given up.
const LOOK: Duration = Duration::from_secs(1);

/// The caches of one namespace, or of all, without which no saga there is reconciled.
pub(in crate::controller) struct CacheSync {
    pub(in crate::controller) namespace: Option<String>,
    pub(in crate::controller) sagas: Receiver<bool>,
    pub(in crate::controller) pods: Receiver<bool>,
}

/// Reports that the first list is whole. Takes the events of a watch after they were reflected.
pub(in crate::controller) fn when_listed<K>(
    told: Sender<bool>,
) -> impl FnMut(&Result<Event<K>, watcher::Error>) {
    move |event| {
        if matches!(event, Ok(Event::InitDone)) {
            told.send_replace(true);
        }
    }
}

/// Returns once a cache is filled. Never returns if its controller ended before, because that ends
/// the process.
async fn is_filled(mut listed: Receiver<bool>) {
    if listed.wait_for(|listed| *listed).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl CacheSync {
    async fn filled(&self) {
        is_filled(self.sagas.clone()).await;
        is_filled(self.pods.clone()).await;
    }

    /// Returns once nobody should wait for the namespace any more.
    async fn given_up(&self, watch_health: &WatchHealth) {
        let Some(namespace) = &self.namespace else { return std::future::pending().await };
        while !watch_health.is_given_up(namespace) {
            time::sleep(LOOK).await;
        }
        tracing::error!(
            namespace,
            "the operator cannot read the sagas and Pods of this namespace, because it has no \
             rights there or the namespace does not exist: remove the namespace from \
             --watch-namespaces (watchNamespaces of the chart), or give the operator its Role \
             there; until then the sagas of the namespace make no progress"
        );
    }
}

/// Returns once all caches are filled, except those that are given up. Reports the progress
/// meanwhile.
pub(in crate::controller) async fn fill(
    all: &[CacheSync],
    watch_health: &WatchHealth,
    told: &Sender<CacheState>,
) {
    let first = async {
        if !all.is_empty() {
            select_all(all.iter().map(|one| Box::pin(one.filled()))).await;
        }
        told.send_replace(CacheState::Partly);
    };
    let each = all.iter().map(|one| async {
        tokio::select! {
            () = one.filled() => {}
            () = one.given_up(watch_health) => {}
        }
    });
    futures::future::join(first, join_all(each)).await;
    told.send_replace(CacheState::Warm);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use tokio::sync::watch;

    use super::*;
    use crate::controller::cluster::watch_health::WatchedKind;

    type Writers = [Sender<bool>; 2];

    fn caches(namespace: Option<&str>) -> (CacheSync, Writers) {
        let ((saga_writer, sagas), (pod_writer, pods)) =
            (watch::channel(false), watch::channel(false));
        (
            CacheSync { namespace: namespace.map(str::to_owned), sagas, pods },
            [saga_writer, pod_writer],
        )
    }

    fn are_filled(writers: &Writers) {
        for writer in writers {
            let mut told = when_listed::<()>(writer.clone());
            for event in [Event::Init, Event::InitApply(()), Event::InitDone] {
                told(&Ok(event));
            }
        }
    }

    /// Returns whether the caches are filled in the end, and how far they are then.
    async fn in_the_end(all: &[CacheSync], watch_health: &WatchHealth) -> (bool, CacheState) {
        let (told, cache_state) = watch::channel(CacheState::Cold);
        let filled =
            time::timeout(Duration::from_hours(1), fill(all, watch_health, &told)).await.is_ok();
        (filled, *cache_state.borrow())
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_is_gone_holds_up_nothing_for_long_and_one_that_is_slow_does() {
        let ((shop, shop_writers), (gone, _gone_writers)) =
            (caches(Some("shop")), caches(Some("gone")));
        let (all, watch_health) = ([shop, gone], WatchHealth::default());
        are_filled(&shop_writers);
        assert_eq!(
            in_the_end(&all, &watch_health).await,
            (false, CacheState::Partly),
            "nobody refused it"
        );
        watch_health.failed("gone", WatchedKind::Saga, Some(403));
        assert_eq!(in_the_end(&all, &watch_health).await, (true, CacheState::Warm));
    }

    #[tokio::test]
    async fn everybody_who_waits_for_a_cache_learns_that_it_is_filled() {
        let (shop, writers) = caches(Some("shop"));
        let waits = (0..3).map(|_| tokio::spawn(is_filled(shop.pods.clone()))).collect::<Vec<_>>();
        tokio::task::yield_now().await;
        are_filled(&writers);
        for wait in waits {
            wait.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_that_sees_nothing_is_never_ready() {
        let (gone, writers) = caches(Some("gone"));
        let (all, watch_health) = ([gone], WatchHealth::default());
        watch_health.failed("gone", WatchedKind::Saga, Some(403));
        assert_eq!(in_the_end(&all, &watch_health).await, (false, CacheState::Cold));
        are_filled(&writers);
        assert_eq!(in_the_end(&all, &watch_health).await, (true, CacheState::Warm));
        let (everywhere, _writers) = caches(None);
        assert_eq!(in_the_end(&[everywhere], &watch_health).await, (false, CacheState::Cold));
    }
}
