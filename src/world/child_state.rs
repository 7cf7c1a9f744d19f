//! What a replica knows of the end of an attempt, in the terms of the engine.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::state::{
    execution::AttemptEnd,
    replica::{CALLED_OFF, KnownEnd},
};
use crate::model::observation::{Answer, ChildState, End, Failure, Reached};

/// Returns the end of an attempt in the terms of the engine.
pub(super) fn end_state(end: KnownEnd, request: bool) -> ChildState {
    let failed = |reached, permanent, exit_code| {
        let message = "the service refused".into();
        ChildState::Ended(End::Failed(Failure {
            reached,
            permanent,
            exit_code,
            disrupted: false,
            retry_after: None,
            message,
        }))
    };
    let no = |reached, permanent| failed(reached, permanent, None);
    let exited = |code| failed(Reached::Answer, false, Some(code));
    match end {
        KnownEnd::Answered(AttemptEnd::Done) => ChildState::Ended(End::Succeeded(None)),
        KnownEnd::Answered(AttemptEnd::No) if request => no(Reached::Answer, true),
        KnownEnd::Answered(AttemptEnd::No) => exited(1),
        KnownEnd::Answered(AttemptEnd::Crash) => exited(101),
        KnownEnd::Answered(AttemptEnd::Busy) => no(Reached::Rejected, false),
        KnownEnd::Answered(AttemptEnd::Accepted(_)) => no(Reached::Accepted, true),
        KnownEnd::Answered(AttemptEnd::Conflict) => {
            ChildState::Ended(End::Answered(Arc::new(Answer {
                status: 409,
                headers: BTreeMap::new(),
                body: Value::Null,
                text: String::new(),
                whole: true,
                retry_after: None,
            })))
        }
        KnownEnd::Answered(AttemptEnd::Unknown(_) | AttemptEnd::Vanished(_)) => {
            unknown("no answer came")
        }
        KnownEnd::Aborted => unknown("no answer within its time limit"),
        KnownEnd::CalledOff => ChildState::Ended(End::CalledOff { message: CALLED_OFF.into() }),
    }
}

/// Returns the state of an attempt whose outcome nobody knows.
pub(super) fn unknown(message: &str) -> ChildState {
    ChildState::Ended(End::Unknown { message: message.into(), retry_after: None })
}

/// Returns the state of an HTTP request that its replica never sent and never will.
pub(super) fn never_sent() -> ChildState {
    ChildState::Ended(End::Failed(Failure {
        reached: Reached::Nothing,
        permanent: false,
        exit_code: None,
        disrupted: true,
        retry_after: None,
        message: "it was called off before anything of it was sent".into(),
    }))
}
