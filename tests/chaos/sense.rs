//! The faults that the sweep omits, and the reasons. Such a fault cannot happen to a call or has no
//! visible effect there. As a result, some stories have no plan for some faults.

use crate::{
    fault::{Counter, Fault},
    plan::Place,
    stories::Story,
};

/// Faults that are not tried at some calls.
struct Rule {
    /// The reason.
    reason: &'static str,
    faults: &'static [Fault],
    /// Returns whether the rule applies to a call of a story.
    at: fn(&Story, &Place) -> bool,
}

const OLD_COPIES: &[Fault] = &[Fault::Stale, Fault::StaleList];

const RULES: [Rule; 7] = [
    Rule {
        reason: "only a write of an existing saga leaves an older copy of the saga",
        faults: OLD_COPIES,
        at: |_, place| {
            !matches!(place.class.as_str(), "PUT sagas/status" | "PATCH sagas")
                || place.counter == Counter::Trial
        },
    },
    Rule {
        reason: "after an event, no call follows that could come too late",
        faults: &[Fault::Freeze, Fault::TakeOver],
        at: |_, place| place.class == "POST events",
    },
    Rule {
        reason: "a read never meets a conflict",
        faults: &[Fault::Conflict],
        at: |_, place| place.counter.only_reads(),
    },
    Rule {
        reason: "no decision depends on a cache before its first sync: a delay there delays the \
            whole operator",
        faults: &[Fault::Freeze, Fault::TakeOver, Fault::TimeoutAfterCommit],
        at: |_, place| place.counter.fills_a_cache(),
    },
    Rule {
        reason: "a conflict with another field manager needs a user: the step fails, as \
            tests/operator/objects.rs shows",
        faults: &[Fault::Conflict],
        at: |_, place| place.class == "PATCH configmaps" && place.counter == Counter::Call,
    },
    Rule {
        reason: "a refused or lost call has the same effect whichever replica leads: the story \
            chain covers it",
        faults: &[
            Fault::Conflict,
            Fault::TooMany,
            Fault::Internal,
            Fault::Unavailable,
            Fault::GatewayTimeout,
            Fault::Reset,
            Fault::ResetAfterCommit,
            Fault::TimeoutAfterCommit,
        ],
        at: |story, place| story.elects && place.counter == Counter::Call,
    },
    Rule {
        reason: "the story chain covers every decision on an old copy of a saga; the leader's \
            Lease is never cached",
        faults: OLD_COPIES,
        at: |story, _| story.elects,
    },
];

/// The pairs of a story and a fault that no plan has, and the reasons.
pub const WITHOUT_A_PLAN: [(&str, Fault, &str); 2] =
    [("leader", Fault::Stale, RULES[6].reason), ("leader", Fault::StaleList, RULES[6].reason)];

/// Returns the reason why a fault is not tried at a call of a story; `None` if the fault is tried.
pub fn left_out(story: &Story, fault: Fault, place: &Place) -> Option<&'static str> {
    RULES
        .iter()
        .find(|rule| rule.faults.contains(&fault) && (rule.at)(story, place))
        .map(|rule| rule.reason)
}

/// Returns, for each reason, the number of faults that are omitted at these calls.
pub fn tally<'a>(
    story: &Story,
    places: impl Iterator<Item = &'a Place>,
) -> Vec<(&'static str, usize)> {
    let reasons: Vec<_> = places
        .flat_map(|place| Fault::ALL.into_iter().filter_map(|fault| left_out(story, fault, place)))
        .collect();
    let count = |rule: &Rule| {
        (rule.reason, reasons.iter().filter(|reason| **reason == rule.reason).count())
    };
    RULES.iter().map(count).filter(|(_, count)| *count > 0).collect()
}
