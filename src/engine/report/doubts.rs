//! What this version finds wrong with the spec of a saga that another version accepted.
//!
//! # Guarantees
//! The saga continues. The condition `Accepted` and one event say what is wrong. The field
//! `doubted` of the status keeps the message that the condition had before, so the faults that one
//! version finds stand in the place of those that another version found, and no message is read
//! back. If the cluster does not store this field, nothing is said: the same would be said again in
//! every reconcile.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{conditions::SHOWN_WARNINGS, message::MESSAGE};
use crate::{
    api::{RELEASE, SpecDoubts},
    engine::planner::state::Planner,
    fault::Fault,
    model::versions::DOUBTED,
    text::{clip, join},
};

/// The most characters that are kept of the message of the condition. The schema allows 4096.
const ACCEPTED: usize = 4000;

/// Adds to the condition `Accepted` what this version finds wrong with the saga, and publishes it
/// once.
pub(in crate::engine) fn report(planner: &mut Planner<'_>, conditions: &mut [Condition]) {
    let Some(found) = sentence(&planner.saga.doubts) else { return };
    let accepted = conditions
        .iter_mut()
        .find(|condition| condition.type_ == "Accepted" && condition.status == "True");
    let Some(accepted) = accepted.filter(|_| planner.input.versions.stores(DOUBTED)) else {
        return;
    };
    let accepted_message = match planner.status.doubted.take() {
        Some(doubted) => doubted.accepted_message,
        None => clip(&accepted.message, ACCEPTED),
    };
    let message = format!("{accepted_message}; {found}");
    let doubted = SpecDoubts { by: RELEASE.to_owned(), accepted_message };
    planner.status.doubted = Some(Box::new(doubted));
    if accepted.message != message {
        accepted.message = message;
        planner.warn("SpecDoubted", found);
    }
}

/// Returns what this version finds wrong with a saga that was accepted.
fn sentence(doubts: &[Fault]) -> Option<String> {
    let first = || join(doubts.iter().take(SHOWN_WARNINGS).map(ToString::to_string), "; ");
    (!doubts.is_empty()).then(|| {
        clip(
            &format!("goes on as it was accepted, although {RELEASE} would refuse it: {}", first()),
            MESSAGE,
        )
    })
}
