//! The outcome of an HTTP request that got no answer.

use std::{error::Error, time::Duration};

use super::sent::Sent;
use crate::model::observation::{End, Failure};

/// The most characters of an error that a message shows.
pub(in crate::controller) const MAX_CAUSE: usize = 200;

/// What came of an HTTP request.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutcome {
    /// The HTTP request ended.
    Ended(End),
    /// The HTTP request was not sent, because something that it needs could not be read just now.
    Refused {
        /// Why, in one line.
        message: String,
        /// After how long the request is tried again.
        retry_in: Duration,
    },
}

/// Returns the failure of an HTTP request that was not sent, and after which a retry may help.
pub(in crate::controller) const fn failed(message: String) -> CallOutcome {
    CallOutcome::Ended(End::Failed(Failure::not_started(message)))
}

/// Returns the permanent failure of an HTTP request that was not sent: a user has to correct
/// something first.
pub(in crate::controller) const fn failed_permanently(message: String) -> CallOutcome {
    CallOutcome::Ended(End::Failed(Failure::not_started(message).permanent()))
}

pub(in crate::controller) fn unknown(message: String) -> CallOutcome {
    CallOutcome::Ended(End::Unknown { message, retry_after: None })
}

pub(in crate::controller) fn overdue(time_limit: Duration, sent: &Sent) -> CallOutcome {
    if sent.may_have_left() {
        unknown(format!("no answer within {time_limit:?}"))
    } else {
        failed(format!("no connection within {time_limit:?}: nothing was sent"))
    }
}

/// Returns the failure of an HTTP request whose time limit passed while other look-ups kept it from
/// looking up the name of its host. It costs no attempt, as far as the engine gives attempts back.
pub(in crate::controller) fn not_looked_up(time_limit: Duration) -> CallOutcome {
    let message = format!(
        "other name look-ups were in flight for {time_limit:?}: the host was not looked up, and \
         nothing was sent"
    );
    CallOutcome::Ended(End::Failed(Failure { disrupted: true, ..Failure::not_started(message) }))
}

/// Returns the outcome of an HTTP request whose answer has more bytes of headers than are kept.
pub(in crate::controller) fn too_large(host: &str, most: usize) -> CallOutcome {
    unknown(format!(
        "the connection to {host} broke before an answer came: the headers of the answer are \
         larger than {} KiB",
        most / 1024
    ))
}

pub(in crate::controller) fn cannot_be_sent(cause: &str) -> CallOutcome {
    failed_permanently(format!("the request cannot be sent: {cause}"))
}

/// Returns the outcome of an HTTP request that got no answer.
pub(in crate::controller) fn broken(
    error: &reqwest::Error,
    host: &str,
    sent: &Sent,
    cause: &str,
) -> CallOutcome {
    if sent.may_have_left() {
        unknown(format!("the connection to {host} broke before an answer came: {cause}"))
    } else if error.is_builder() {
        cannot_be_sent(cause)
    } else {
        failed(format!("no connection to {host}: {cause}"))
    }
}

/// Returns the innermost error. The outer errors say only that something failed, and one of them
/// holds the URL. The innermost error may quote the service, such as the names in its certificate.
pub(in crate::controller) fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if innermost.is::<reqwest::Error>() {
        "the request is malformed".into()
    } else {
        innermost.to_string()
    }
}

/// The fixture that the tests of this folder share.
#[cfg(test)]
pub(super) mod fixture {
    #![allow(clippy::panic, clippy::wildcard_enum_match_arm, reason = "tests fail by panicking")]
    use super::*;
    use crate::model::observation::Reached;

    /// Returns whether the failure of a request that was not sent is permanent, and its message.
    pub fn nothing_reached(outcome: &CallOutcome) -> (bool, &str) {
        match outcome {
            CallOutcome::Ended(End::Failed(Failure {
                reached: Reached::Nothing,
                permanent,
                message,
                ..
            })) => (*permanent, message),
            other => panic!("{other:?}"),
        }
    }
}
