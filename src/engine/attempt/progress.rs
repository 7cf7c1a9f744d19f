//! What is written down of a child that goes on.
//!
//! # Guarantees
//! One write once it has lived for two seconds, or, of an object that is deleted, at once; and then
//! one each time another kind of trouble keeps it from going on, or none any more: what it says of
//! one and the same trouble may change as often as it likes.

use std::time::Duration;

use crate::{
    api::{Direction, StepStatus, limits::KEPT_MESSAGE},
    clock::later,
    engine::planner::state::Pass,
    model::observation::Trouble,
    text::clip,
};

/// A child that lives this long gets its UID written to the status.
const NOTED_AFTER: Duration = Duration::from_secs(2);

/// Writes the UID of a child that lives for two seconds, with what it waits for and what keeps
/// it from going on.
pub(crate) fn note_child(
    pass: &mut Pass<'_>,
    status: &mut StepStatus,
    direction: Direction,
    (uid, age): (Option<&String>, Duration),
    (detail, trouble): (&str, Option<Trouble>),
) {
    let Some(uid) = uid else { return };
    let silent = status.message.is_none();
    let Some(active) = &mut status.direction_mut(direction).active else { return };
    let trouble = trouble.map(Trouble::as_str);
    let told = active.child_uid.is_some() && !silent;
    if told && active.trouble.as_deref() == trouble {
        return;
    }
    if !told && age < NOTED_AFTER {
        let wait = NOTED_AFTER.saturating_sub(age);
        pass.wake_at(later(pass.seen.now, wait));
        return;
    }
    active.child_uid.get_or_insert_with(|| uid.clone());
    active.trouble = trouble.map(str::to_owned);
    status.message = Some(clip(detail, KEPT_MESSAGE));
}
