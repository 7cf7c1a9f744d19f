//! Executors: the id under which this process sends HTTP requests, and the check whether the
//! executors of other processes are gone.
//!
//! ```text
//!  own: create ─► renew every 2 s ─┬─► a renewal is refused, or 4 s pass
//!                                  │    ─► abort HTTP requests under way ─► new id, new Lease
//!                                  └─► the process ends ─► release
//!  others: an intent of a foreign id ─► live reads of its Lease, one series for each id
//!           ─► gone ─► enqueue its sagas
//! ```
//!
//! # Guarantees
//! An HTTP request is sent only while the tenure of the id in its intent holds. It is aborted when
//! the tenure lapses. An id that lapsed is never used again. An HTTP request that another process
//! sent counts as Unknown only when [`crate::coordination::executor_lease`] says that its executor
//! is gone.
//!
//! # Caveats
//! Leases are read only while there are intents of other executors. So an operator that runs alone
//! reads no Leases of others.

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

use crate::{
    api::names::{LABEL_MANAGED_BY, MANAGER},
    controller::clock::now,
    coordination::executor_lease::TERM,
};

/// The label that marks the Leases of executors.
pub(in crate::controller) const LABEL_EXECUTOR: &str = "saga.dev/executor";

/// Returns the name of an executor's Lease.
pub(in crate::controller) fn lease_name(id: &str) -> String {
    format!("saga-executor-{id}")
}

/// Builds the Lease of an executor, as it is created.
pub(in crate::controller) fn lease(id: &str) -> Lease {
    let labels = [(LABEL_MANAGED_BY, MANAGER), (LABEL_EXECUTOR, "true")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let at = Some(MicroTime(now()));
    Lease {
        metadata: ObjectMeta {
            name: Some(lease_name(id)),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(id.to_owned()),
            lease_duration_seconds: i32::try_from(TERM.as_secs()).ok(),
            acquire_time: at.clone(),
            renew_time: at,
            ..LeaseSpec::default()
        }),
    }
}
