//! Observes HTTP requests, by this process's memory or by what is known about other executors.

use std::time::Duration;

use super::{learned::AttemptView, sources::Sources};
use crate::{
    api::ActiveAttempt,
    controller::{
        memory::{
            attempt::called_off,
            remembered::{absent, remembered},
        },
        queue::SagaRef,
    },
    model::{observation::ChildState, saga::ValidSaga},
};

/// Returns the state of an HTTP request. If this process was to send it, the state comes from this
/// process's memory. Otherwise the state comes from what is known about the executor that was to
/// send it.
pub(super) fn request(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    view: &mut AttemptView<'_>,
    attempt: &ActiveAttempt,
    timeout: Duration,
    executor: Option<&str>,
) -> ChildState {
    let sender = attempt.executor.as_deref().unwrap_or_default();
    let (is_ours, was_ours) = (executor == Some(sender), sources.executors.was_ours(sender));
    let known = view.known();
    if !is_ours && !was_ours {
        let (state, interest) = sources.executors.others.state(sender, known.first_read, timeout);
        if let Some(interest) = interest {
            view.needs(sender, SagaRef::new(&saga.namespace, &saga.name), interest);
        }
        return state;
    }
    match (&known.end, known.in_flight()) {
        (Some(end), _) => end.clone().into(),
        (None, Some(since)) => ChildState::Active {
            uid: None,
            age: since.elapsed(),
            detail: "the request is under way".into(),
            trouble: None,
        },
        // The HTTP request may be sent only under the executor that the intent names. Nothing more
        // is sent: this process lost that executor, or begins nothing more, or does not remember
        // that it wrote the intent.
        (None, None) if was_ours || !sources.lifecycle.leads() || !known.is_intended_here() => {
            called_off(&known).into()
        }
        (None, None) => remembered(&known).unwrap_or_else(|| absent(&known, false)),
    }
}
