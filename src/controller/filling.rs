//! Whether the caches are filled, without which no saga is looked at.
//!
//! # Guarantees
//! A namespace that the operator may not see, or that is gone, holds nothing up for longer than half a minute: the others have an operator that
//! is ready and may lead. It is told what to do about it. One that sees nothing at all is never ready, nor is one that works in the whole
//! cluster and may not see it.

use std::time::Duration;

use futures::future::{join, join_all, select_all};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::Store;
use tokio::{sync::watch, time};

use super::barred::Barred;
use crate::{api::StoredSaga, service::leadership::Warmth};

/// How often it is looked whether a watch is given up.
const LOOK: Duration = Duration::from_secs(1);

/// The caches of one namespace, or of all, without which no saga there is looked at.
pub(super) struct Filling {
    pub(super) namespace: Option<String>,
    pub(super) sagas: Store<StoredSaga>,
    pub(super) pods: Store<Pod>,
}

impl Filling {
    async fn filled(&self) {
        let both = join(self.sagas.wait_until_ready(), self.pods.wait_until_ready()).await;
        if both.0.is_err() || both.1.is_err() {
            // It is never filled: its controller ended, which ends the process.
            std::future::pending::<()>().await;
        }
    }

    /// Returns once nobody should wait for it any more.
    async fn given_up(&self, barred: &Barred) {
        let Some(namespace) = &self.namespace else { return std::future::pending().await };
        while !barred.is_given_up(namespace) {
            time::sleep(LOOK).await;
        }
        tracing::error!(
            namespace,
            "the operator may not see the sagas and Pods of this namespace, or it is gone: take it out of --watch-namespaces (watchNamespaces \
             of the chart), or give the operator its Role there; until then its sagas stand still"
        );
    }
}

/// Returns once all caches are filled that are not given up. Meanwhile it is told how far they are.
pub(super) async fn fill(all: &[Filling], barred: &Barred, told: &watch::Sender<Warmth>) {
    let first = async {
        if !all.is_empty() {
            select_all(all.iter().map(|one| Box::pin(one.filled()))).await;
        }
        told.send_replace(Warmth::Partly);
    };
    let each = all.iter().map(|one| async {
        tokio::select! {
            () = one.filled() => {}
            () = one.given_up(barred) => {}
        }
    });
    join(first, join_all(each)).await;
    told.send_replace(Warmth::Warm);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use kube::runtime::{
        reflector::{self, store::Writer},
        watcher::Event,
    };

    use super::*;

    type Writers = (Writer<StoredSaga>, Writer<Pod>);

    fn caches(namespace: Option<&str>) -> (Filling, Writers) {
        let ((sagas, saga_writer), (pods, pod_writer)) = (reflector::store(), reflector::store());
        (Filling { namespace: namespace.map(str::to_owned), sagas, pods }, (saga_writer, pod_writer))
    }

    fn are_filled((sagas, pods): &mut Writers) {
        sagas.apply_watcher_event(&Event::InitDone);
        pods.apply_watcher_event(&Event::InitDone);
    }

    /// Whether the caches are filled in the end, as far as they ever are, and how far they are then.
    async fn in_the_end(all: &[Filling], barred: &Barred) -> (bool, Warmth) {
        let (told, warmth) = watch::channel(Warmth::Cold);
        let filled = time::timeout(Duration::from_hours(1), fill(all, barred, &told)).await.is_ok();
        (filled, *warmth.borrow())
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_is_gone_holds_up_nothing_for_long_and_one_that_is_slow_does() {
        let ((shop, mut shop_writers), (gone, _gone_writers)) = (caches(Some("shop")), caches(Some("gone")));
        let (all, barred) = ([shop, gone], Barred::default());
        are_filled(&mut shop_writers);
        assert_eq!(in_the_end(&all, &barred).await, (false, Warmth::Partly), "nobody refused it");
        barred.failed("gone", "Saga", Some(403));
        assert_eq!(in_the_end(&all, &barred).await, (true, Warmth::Warm));
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_that_sees_nothing_is_never_ready() {
        let (gone, mut writers) = caches(Some("gone"));
        let (all, barred) = ([gone], Barred::default());
        barred.failed("gone", "Saga", Some(403));
        assert_eq!(in_the_end(&all, &barred).await, (false, Warmth::Cold));
        are_filled(&mut writers);
        assert_eq!(in_the_end(&all, &barred).await, (true, Warmth::Warm));
        let (everywhere, _writers) = caches(None);
        assert_eq!(in_the_end(&[everywhere], &barred).await, (false, Warmth::Cold));
    }
}
