//! The errors of a reconcile. A normal state is never an error.

use std::any::Any;

use thiserror::Error;

use crate::{service::metrics::ReconcileResult, text::bounded_line};

/// The reason why a reconcile ended early. The saga is requeued, and nothing is lost.
#[derive(Debug, Error)]
pub enum Error {
    /// A call to the Kubernetes API failed.
    #[error("cannot {doing}")]
    Api {
        /// The operation that failed, such as `write the status`.
        doing: &'static str,
        /// The error of the API server or of the connection.
        #[source]
        source: kube::Error,
    },
    /// The reconcile panicked. Only this saga is affected.
    #[error("the reconcile panicked: {0}")]
    Panic(String),
}

impl Error {
    /// Returns a function that wraps the error of a failed call.
    pub fn api(doing: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api { doing, source }
    }

    /// Returns the error of a panic.
    #[must_use]
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Self::Panic(text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default())
    }

    /// Returns the label under which a reconcile that ended with this error is counted.
    #[must_use]
    pub const fn outcome(&self) -> ReconcileResult {
        match self {
            Self::Api { .. } => ReconcileResult::Error,
            Self::Panic(_) => ReconcileResult::Panic,
        }
    }
}

/// Returns the HTTP status of a failed call, or `None` if the API server did not answer.
#[must_use]
pub const fn code(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error { Some(status.code) } else { None }
}

/// Returns whether the call failed because another write came first.
#[must_use]
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(
        error,
        kube::Error::Api(status) if status.code == 409 && status.reason != "AlreadyExists"
    )
}

/// Returns whether the object does not exist.
#[must_use]
pub const fn is_not_found(error: &kube::Error) -> bool {
    matches!(code(error), Some(404))
}

impl Error {
    /// Returns whether the API server refused the call because a right is missing.
    #[must_use]
    pub const fn is_forbidden(&self) -> bool {
        matches!(self, Self::Api { source, .. } if matches!(code(source), Some(403)))
    }
}

/// The most characters of one cause in a line.
const MAX_CAUSE: usize = 400;

/// Returns an error with all its causes in one line. An answer of the API server contributes only
/// its code and message, because the rest would fill a page.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let answer = answer(cause);
        let text = bounded_line(&answer.clone().unwrap_or_else(|| cause.to_string()), MAX_CAUSE);
        if !line.contains(&text) {
            line.push_str(if line.is_empty() { "" } else { ": " });
            line.push_str(&text);
        }
        next = cause.source().filter(|_| answer.is_none());
    }
    line
}

/// Returns the code and message of the API server if the error is an answer with a message.
fn answer(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let status = error
        .downcast_ref::<kube::Error>()
        .and_then(|error| if let kube::Error::Api(status) = error { Some(status) } else { None })?;
    (!status.message.is_empty()).then(|| format!("{} {}", status.code, status.message))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_line_of_the_log_is_bounded_whatever_the_api_server_answers() {
        let status = Status {
            code: 403,
            message: format!("forbidden\n{}", "x".repeat(100_000)),
            ..Status::default()
        };
        let line = chain(&Error::Api {
            doing: "create a Pod",
            source: kube::Error::Api(Box::new(status)),
        });
        assert!(
            line.starts_with("cannot create a Pod: 403 forbidden x") && line.chars().count() < 500,
            "{line}"
        );
    }
}
