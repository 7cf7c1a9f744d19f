//! Two versions at work: what another version of the operator wrote into a saga, and what the
//! definition that is served takes away.
//!
//! # Guarantees
//! What this version does not know is never acted on as if it were not there. What the API server
//! takes away when a status is written is no difference to be written: no saga is written again and
//! again for it.

use super::{report::blocked::Hold, terminal::release};
use crate::{
    api::{DeletionPolicy, SagaStatus},
    model::{
        input::Seen,
        plan::{Effect, Finalizer, Notice, Plan, Tally},
        versions::Served,
    },
};

/// Why a saga is not accepted although its spec is valid.
pub(super) fn refused(status: &SagaStatus, seen: &Seen<'_>) -> Option<Hold> {
    if status.spec_hash.is_some() || seen.deleting {
        return None;
    }
    let needed = seen.versions.served.map(Served::needed).unwrap_or_default();
    if !needed.is_empty() {
        return Some(Hold::DefinitionTooOld(needed));
    }
    (!seen.precheck.refused.is_empty()).then(|| Hold::Refused(seen.precheck.refused.clone()))
}

/// A saga in whose status words of another version stand: nothing is known of it, and nothing is
/// written, but that it goes where it is to be given up.
pub(super) fn leave_alone(seen: &Seen<'_>) -> Plan {
    if seen.deleting && seen.deletion_policy == DeletionPolicy::Abandon {
        let message = "deletionPolicy is Abandon: the saga goes as it is; what is still in effect \
            stands in a status of another version";
        return release(Some(Notice {
            warning: true,
            reason: "Abandoned",
            message: message.into(),
        }));
    }
    let message = || {
        format!(
            "{}: words of another version, so that this operator leaves the saga to one of that \
             version; nothing is done or written until then",
            seen.versions.words.join(", ")
        )
    };
    let told = seen.versions.words_are_news.then(|| {
        Effect::Publish(Notice { warning: true, reason: "UnknownWord", message: message() })
    });
    Plan::new(None, Finalizer::Keep, None, Tally::default(), told.into_iter().collect())
}
