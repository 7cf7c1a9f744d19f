//! What can go wrong in a reconcile. A normal state is never an error.

use thiserror::Error;

use crate::service::metrics::ReconcileResult;

/// Why a reconcile ended early. The saga is looked at again; nothing is lost.
#[derive(Debug, Error)]
pub enum Error {
    /// A call to the Kubernetes API failed.
    #[error("cannot {doing}")]
    Api {
        /// What was being done: `write the status`.
        doing: &'static str,
        /// What the API server or the connection said.
        #[source]
        source: kube::Error,
    },
    /// The reconcile panicked; only this saga is harmed.
    #[error("the reconcile panicked: {0}")]
    Panic(String),
}

impl Error {
    /// Wraps a failed call.
    pub fn api(doing: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api { doing, source }
    }

    /// How a reconcile that ended with it is counted.
    #[must_use]
    pub const fn outcome(&self) -> ReconcileResult {
        match self {
            Self::Api { .. } => ReconcileResult::Error,
            Self::Panic(_) => ReconcileResult::Panic,
        }
    }
}

/// The HTTP status of a failed call, where the API server answered.
#[must_use]
pub const fn code(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error { Some(status.code) } else { None }
}

/// Whether another write came first.
#[must_use]
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 && status.reason != "AlreadyExists")
}

/// Whether the object is not there.
#[must_use]
pub const fn is_not_found(error: &kube::Error) -> bool {
    matches!(code(error), Some(404))
}

/// An error with all its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !line.contains(&cause_text) {
            line.push_str(": ");
            line.push_str(&cause_text);
        }
        source = cause.source();
    }
    line
}
