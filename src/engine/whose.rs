//! Finds the step that applied an object, from the object's mark of the attempt.

use crate::api::{
    Direction, StepStatus, StoredSaga,
    names::{AttemptId, child_name},
    status::is_terminal,
};

/// Returns the step whose attempt applied an object with this mark. Only a saga that has not ended
/// counts, and only attempts that its status still records.
#[must_use]
pub fn applied_by(saga: &StoredSaga, mark: &str) -> Option<String> {
    let (name, uid) = (saga.metadata.name.as_deref()?, saga.metadata.uid.as_deref()?);
    let status = saga.status.as_ref().ok().filter(|status| !is_terminal(status))?;
    // Few marks begin with the saga's name. Only those need a hash.
    let start = name.get(..name.floor_char_boundary(HEAD))?;
    let step = status.steps.iter().filter(|_| mark.starts_with(start)).find(|step| {
        attempts(step).any(|(direction, number)| {
            child_name(name, uid, &AttemptId { step: step.name.clone(), direction, number }) == mark
        })
    })?;
    Some(step.name.clone())
}

/// How many bytes of a saga's name are at the beginning of every mark. A shorter name is there in
/// full.
const HEAD: usize = 40;

fn attempts(step: &StepStatus) -> impl Iterator<Item = (Direction, i64)> {
    [(Direction::Action, &step.action), (Direction::Compensation, &step.compensation)]
        .into_iter()
        .flat_map(|(direction, record)| {
            let numbers = record.iter().flat_map(|record| {
                record.attempts.iter().map(|attempt| attempt.attempt).chain([record.attempt])
            });
            numbers.map(move |number| (direction, number))
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    fn saga(name: &str, phase: &str) -> StoredSaga {
        let attempt = json!({
            "attempt": 2, "outcome": "Unknown",
            "startedAt": "2026-01-01T00:00:00Z", "settledAt": "2026-01-01T00:00:01Z",
        });
        let action = json!({"attempt": 3, "budgetUsed": 1, "attempts": [attempt]});
        let status = json!({"phase": phase, "steps": [
            {"name": "other", "phase": "Pending"},
            {"name": "switch", "phase": "Running", "action": action},
        ]});
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "shop", "uid": "1"},
            "spec": {"steps": []},
            "status": status,
        }))
        .unwrap()
    }

    fn mark(name: &str, uid: &str, number: i64) -> String {
        child_name(
            name,
            uid,
            &AttemptId { step: "switch".into(), direction: Direction::Action, number },
        )
    }

    #[test]
    fn a_mark_names_the_step_of_an_unfinished_saga() {
        let long = "release-".repeat(7);
        for name in ["release", &long] {
            for number in [2, 3] {
                assert_eq!(
                    applied_by(&saga(name, "Running"), &mark(name, "1", number)).as_deref(),
                    Some("switch"),
                    "{name} {number}"
                );
            }
            assert_eq!(
                applied_by(&saga(name, "Running"), &mark(name, "1", 4)),
                None,
                "an attempt that was never made"
            );
            assert_eq!(
                applied_by(&saga(name, "Running"), &mark(name, "2", 2)),
                None,
                "another saga of that name"
            );
            assert_eq!(
                applied_by(&saga(name, "Completed"), &mark(name, "1", 2)),
                None,
                "it has ended"
            );
            assert!(
                applied_by(&saga(name, "Failed"), &mark(name, "1", 2)).is_some(),
                "it waits for a person"
            );
        }
        assert_eq!(applied_by(&saga("release", "Running"), "by hand"), None);
    }
}
