//! Deletes the Leases of executors that are long gone.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Preconditions},
};

use super::executor::LABEL_EXECUTOR;
use crate::{
    api::names::{LABEL_MANAGED_BY, MANAGER},
    controller::{
        clock::now,
        cluster::error::{chain, code},
    },
};

/// The time between two searches for Leases of executors that are long gone.
const SWEEP: Duration = Duration::from_mins(15);
/// How long a Lease must not have been renewed before another process deletes it. If its executor
/// still lives, the executor's tenure lapses safely.
const KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
/// Deletes Leases of executors that were not renewed for an hour, every 15 min. Never returns.
pub async fn delete_old_leases(api: &Api<Lease>) {
    let labels = format!("{LABEL_MANAGED_BY}={MANAGER},{LABEL_EXECUTOR}=true");
    let parameters = ListParams::default().labels(&labels);
    let mut every = tokio::time::interval(SWEEP);
    loop {
        every.tick().await;
        let leases = match api.list(&parameters).await {
            Ok(leases) => leases.items,
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot list old Leases");
                continue;
            }
        };
        for lease in leases.iter().filter(|lease| is_old(lease, now())) {
            let preconditions =
                Preconditions { uid: lease.uid(), resource_version: lease.resource_version() };
            let parameters =
                DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match api.delete(&lease.name_any(), &parameters).await {
                Ok(_) => tracing::info!(lease = lease.name_any(), "an old Lease is deleted"),
                Err(error) if matches!(code(&error), Some(404 | 409)) => {}
                Err(error) => tracing::warn!(
                    lease = lease.name_any(),
                    error = chain(&error),
                    "cannot delete an old Lease"
                ),
            }
        }
    }
}

/// Returns whether the Lease was not renewed for an hour, by the wall clock. A Lease without a
/// renewal time counts by its creation.
fn is_old(lease: &Lease, now: jiff::Timestamp) -> bool {
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref()).map(|at| at.0);
    let since = renewed.or_else(|| lease.metadata.creation_timestamp.as_ref().map(|at| at.0));
    since.is_none_or(|since| now.duration_since(since) >= KEPT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_lease_that_nobody_renewed_for_an_hour_is_old() {
        let now: jiff::Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let lease = |spec: serde_json::Value| {
            let metadata = json!({"name": "a", "creationTimestamp": "2026-03-01T01:00:00Z"});
            serde_json::from_value::<Lease>(json!({"metadata": metadata, "spec": spec})).unwrap()
        };
        assert!(!is_old(&lease(json!({"renewTime": "2026-03-01T11:00:00.000001Z"})), now));
        assert!(is_old(&lease(json!({"renewTime": "2026-03-01T11:00:00.000000Z"})), now));
        assert!(
            !is_old(&lease(json!({"renewTime": "2027-03-01T11:00:00.000000Z"})), now),
            "a clock that is ahead"
        );
        assert!(is_old(&lease(json!({})), now));
    }
}
