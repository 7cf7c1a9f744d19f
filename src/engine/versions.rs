//! How two versions work together: what another version of the operator wrote into a saga, and what
//! the served CustomResourceDefinition drops.
//!
//! # Guarantees
//! A field or value that this version does not know is never treated as absent. If the API server
//! drops a field when a status is written, the missing field does not count as a difference, so no
//! saga is written again and again.

use super::{report::blocked::Blocked, terminal::release};
use crate::{
    api::{DeletionPolicy, SagaStatus},
    model::{
        input::PlanInput,
        plan::{Effect, Finalizer, Notice, Plan, Tally},
        versions::Served,
    },
};

/// Returns why a saga is not accepted although its spec is valid.
pub(super) fn refused(status: &SagaStatus, input: &PlanInput<'_>) -> Option<Blocked> {
    if status.spec_hash.is_some() || input.stored.deleting {
        return None;
    }
    let needed = input.versions.served.map(Served::needed).unwrap_or_default();
    if !needed.is_empty() {
        return Some(Blocked::DefinitionTooOld(needed));
    }
    input.surroundings.precheck.filter(|precheck| !precheck.refused.is_empty()).map(|precheck| {
        Blocked::Refused { faults: precheck.refused.clone(), untried: precheck.untried }
    })
}

/// Makes the plan for a saga whose status holds values of another version. The status cannot be
/// read, and nothing is written. If the saga is deleted with the policy Abandon, it is released.
pub(super) fn leave_alone(input: &PlanInput<'_>) -> Plan {
    if input.stored.deleting && input.stored.deletion_policy == DeletionPolicy::Abandon {
        let message = "deletionPolicy is Abandon: the saga is deleted without an undo; a status of \
            another version says what is still in effect";
        return release(Some(Notice {
            warning: true,
            reason: "Abandoned",
            message: message.into(),
        }));
    }
    let message = || {
        format!(
            "{}: words of another version. This operator changes nothing; an operator of that \
             version continues the saga",
            input.versions.words.join(", ")
        )
    };
    let told = input.versions.words_are_news.then(|| {
        Effect::Publish(Notice { warning: true, reason: "UnknownWord", message: message() })
    });
    Plan::new(None, Finalizer::Keep, None, Tally::default(), told.into_iter().collect())
}
