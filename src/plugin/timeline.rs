//! The lines of a timeline: the changes of a saga's status, and the events of the simulated world.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::{
    api::{Direction, GoDuration, Outcome, RequestRecord, SagaStatus, StepPhase, StepStatus},
    clock::between,
    manifest::pod_template,
    model::saga::{Operation, ValidSaga, ValidStep, Work},
    world::{AttemptRef, Event},
};

/// The first column of a line about the saga as a whole.
pub(super) const SAGA: &str = "saga";
/// The first column of a line about a Kubernetes event.
const EVENT: &str = "event";
/// The first column of a line about an act of a user.
pub(super) const USER: &str = "user";

/// One event of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The time since the start of the run.
    pub(super) at: Duration,
    /// The name of a step, or one of the constants above.
    pub(super) about: String,
    /// What happened.
    pub(super) what: String,
}

/// The first column and the text of a line, without the instant.
pub(super) type LineText = (String, String);

/// Formats an instant as the time since the start of the run: `+1m05.250s`.
pub(super) fn clock(since: Duration) -> String {
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("+{seconds}.{millis:03}s"),
        (0, minutes, seconds) => format!("+{minutes}m{seconds:02}.{millis:03}s"),
        (hours, minutes, seconds) => format!("+{hours}h{minutes:02}m{seconds:02}.{millis:03}s"),
    }
}

/// Returns the line for an event of the world. Returns `None` if the status shows the event or if a
/// user does not notice it.
pub(super) fn event_line(event: &Event, saga: &ValidSaga) -> Option<LineText> {
    match event {
        Event::Began { attempt, .. } => {
            let step = saga.steps.get(attempt.place)?;
            let doing = doing(step.operation(attempt.direction)?);
            Some(about_attempt(step, *attempt, &format!("begins ({doing})")))
        }
        Event::Stopped(attempt) => {
            Some(about_attempt(saga.steps.get(attempt.place)?, *attempt, "is stopped"))
        }
        Event::DoneUnawaited(attempt) => Some(about_attempt(
            saga.steps.get(attempt.place)?,
            *attempt,
            "ends, and its outcome is not recorded",
        )),
        Event::Published(notice) => {
            let kind = if notice.warning { "Warning" } else { "Normal" };
            Some((EVENT.into(), format!("{kind} {}: {}", notice.reason, notice.message)))
        }
        Event::Gone => Some((SAGA.into(), "is gone".into())),
        Event::Passed(_)
        | Event::Asked(_)
        | Event::TooOld(_)
        | Event::Wrote { .. }
        | Event::Conflict(_)
        | Event::Finalizer(_)
        | Event::Adopted(_)
        | Event::Lost(_)
        | Event::Refused(_)
        | Event::Dropped(_)
        | Event::Swept
        | Event::Ended(_, _)
        | Event::TookAway => None,
    }
}

fn about_attempt(step: &ValidStep, attempt: AttemptRef, what: &str) -> LineText {
    (step.name.clone(), format!("{}attempt {} {what}", of(attempt.direction), attempt.number))
}

/// Returns the text before the word "attempt".
const fn of(direction: Direction) -> &'static str {
    match direction {
        Direction::Action => "",
        Direction::Compensation => "compensation ",
    }
}

fn doing(operation: &Operation) -> String {
    let kind = operation.kind();
    match &operation.work {
        Work::Http(action) => format!("{kind} {} {}", action.method.as_str(), action.url),
        Work::Pod(action) => {
            let image = action
                .image
                .as_deref()
                .or_else(|| pod_template::deciding_image(action.template.as_ref()?));
            format!("{kind} {}", image.unwrap_or("of a template"))
        }
        Work::Job(action) => {
            let image = action.spec.get("template").and_then(pod_template::deciding_image);
            format!("{kind} {}", image.unwrap_or("of a template"))
        }
        Work::Apply(action) => {
            let text = |pointer: &str| {
                action
                    .manifest
                    .pointer(pointer)
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or_default()
            };
            format!("{kind} {} {}", text("/kind"), text("/metadata/name"))
        }
        Work::Delete(object) | Work::Until(object) => {
            format!("{kind} {} {}", object.kind, object.name)
        }
        Work::Saga(_) => "a child saga".into(),
        Work::UndoSaga => "undoes its child saga".into(),
        Work::Approval(_) | Work::Wait(_) => kind.into(),
    }
}

/// Returns the lines for the difference between two statuses: answers to requests, then steps in
/// list order, then the saga.
pub(super) fn changes(
    saga: &ValidSaga,
    before: &SagaStatus,
    after: &SagaStatus,
    began: Timestamp,
) -> Vec<LineText> {
    let newest = before.requests.last().map_or(0, |record| record.number);
    let answers = after.requests.iter().filter(|record| record.number > newest).map(answer);
    let steps = saga.steps.iter().filter_map(|step| {
        let of = |status: &SagaStatus| {
            status.steps.iter().find(|known| known.name == step.name).cloned().unwrap_or_default()
        };
        let what = step_change(step, &of(before), &of(after), began);
        (!what.is_empty()).then(|| (step.name.clone(), what))
    });
    let phase = after.phase.filter(|phase| before.phase != Some(*phase));
    answers.chain(steps).chain(phase.map(|phase| (SAGA.into(), phase.as_str().into()))).collect()
}

fn answer(record: &RequestRecord) -> LineText {
    let RequestRecord { action, value, result, message, .. } = record;
    (SAGA.into(), format!("request {action}={value} {}: {message}", result.as_str()))
}

fn step_change(
    step: &ValidStep,
    before: &StepStatus,
    after: &StepStatus,
    began: Timestamp,
) -> String {
    let mut parts = Vec::new();
    for direction in [Direction::Action, Direction::Compensation] {
        parts.extend(ends(before, after, direction));
    }
    if before.phase != after.phase {
        parts.extend(phase(step, after.phase));
    }
    if let Some(MicroTime(next)) =
        after.next_attempt_at.as_ref().filter(|next| before.next_attempt_at.as_ref() != Some(next))
    {
        let direction =
            if after.phase.is_backward() { Direction::Compensation } else { Direction::Action };
        let record = after.direction(direction).filter(|record| record.active.is_none());
        parts.extend(record.map(|record| {
            format!(
                "attempt {} begins at {}",
                record.attempt.saturating_add(1),
                clock(between(began, *next))
            )
        }));
    }
    parts.join("; ")
}

/// Returns the attempts that settled and did not succeed.
fn ends(before: &StepStatus, after: &StepStatus, direction: Direction) -> Vec<String> {
    // If no attempt is awaited any more, a late outcome is not a failure.
    if matches!(after.phase, StepPhase::Pending | StepPhase::Skipped) {
        return Vec::new();
    }
    let known = before
        .direction(direction)
        .and_then(|record| record.attempts.last())
        .map_or(0, |last| last.attempt);
    let records =
        after.direction(direction).map(|record| record.attempts.as_slice()).unwrap_or_default();
    let failed = records
        .iter()
        .filter(|record| record.attempt > known && record.outcome != Outcome::Succeeded);
    let no_attempt_follows = match direction {
        Direction::Action => {
            matches!(after.phase, StepPhase::Failed | StepPhase::Compensating)
        }
        Direction::Compensation => after.phase == StepPhase::CompensationFailed,
    };
    let told = failed.map(|record| {
        // After the last attempt, the message of the step also says why no attempt follows.
        let is_last = records.last().is_some_and(|last| last.attempt == record.attempt);
        let whole = after.message.clone().filter(|_| is_last && no_attempt_follows);
        let whole = whole.unwrap_or_else(|| {
            let message = record.message.as_deref().unwrap_or("no message");
            format!("attempt {} {}: {message}", record.attempt, record.outcome.verb())
        });
        format!("{}{whole}", of(direction))
    });
    told.collect()
}

/// Returns the text for a phase. Returns `None` if the lines about attempts already show the phase.
fn phase(step: &ValidStep, phase: StepPhase) -> Option<String> {
    match phase {
        StepPhase::Running | StepPhase::Retrying | StepPhase::Compensating => None,
        StepPhase::Pending => Some("not reached".into()),
        StepPhase::Waiting => Some(if let Work::Wait(duration) = &step.action.work {
            format!("waits for {}", GoDuration::from(*duration))
        } else {
            "waits for approval".into()
        }),
        StepPhase::Completed
        | StepPhase::Skipped
        | StepPhase::Failed
        | StepPhase::Compensated
        | StepPhase::CompensationFailed
        | StepPhase::CompensationSkipped => Some(phase.as_str().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_told_from_the_beginning() {
        for (millis, told) in [
            (0, "+0.000s"),
            (59_999, "+59.999s"),
            (65_250, "+1m05.250s"),
            (3_600_000, "+1h00m00.000s"),
            (90_061_000, "+25h01m01.000s"),
        ] {
            assert_eq!(clock(Duration::from_millis(millis)), told);
        }
    }
}
