//! The progress of a child that has not ended, as the status records it.
//!
//! # Guarantees
//! The first write happens when the child has existed for two seconds. For an object that is
//! deleted, the first write happens at once. Each later write happens when the kind of trouble that
//! holds up the child changes or ends. A text that changes while the kind of trouble stays the same
//! causes no write.

use std::time::Duration;

use crate::{
    api::{Direction, StepStatus, limits::KEPT_MESSAGE},
    clock::later,
    engine::planner::state::Planner,
    model::observation::PodTrouble,
    text::clip,
};

/// The age of a child at which its UID is written to the status.
const NOTED_AFTER: Duration = Duration::from_secs(2);

/// Writes the UID of a child that has existed for two seconds, what the child waits for (`detail`),
/// and the trouble that holds it up.
pub(in crate::engine) fn note_child(
    planner: &mut Planner<'_>,
    status: &mut StepStatus,
    direction: Direction,
    (uid, age): (Option<&String>, Duration),
    (detail, trouble): (&str, Option<PodTrouble>),
) {
    let Some(uid) = uid else { return };
    let silent = status.message.is_none();
    let Some(active) = &mut status.direction_mut(direction).active else { return };
    let trouble = trouble.map(PodTrouble::as_str);
    let told = active.child_uid.is_some() && !silent;
    if told && active.trouble.as_deref() == trouble {
        return;
    }
    if !told && age < NOTED_AFTER {
        let wait = NOTED_AFTER.saturating_sub(age);
        planner.wake_at(later(planner.input.now, wait));
        return;
    }
    active.child_uid.get_or_insert_with(|| uid.clone());
    active.trouble = trouble.map(str::to_owned);
    status.message = Some(clip(detail, KEPT_MESSAGE));
}
