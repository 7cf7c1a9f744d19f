//! What must hold of every stored status: its conditions, lengths, budgets and ends.

use saga_operator::api::{
    Direction, DirectionStatus, RequestAction, SagaPhase, SagaStatus, StepPhase, StepStatus,
    status::active_attempts,
};

use crate::world::World;

const DIRECTIONS: [Direction; 2] = [Direction::Action, Direction::Compensation];

/// Asserts the conditions that kstatus and Argo CD read (design 6).
pub(crate) fn conditions(status: &SagaStatus, world: &World) {
    let of = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind);
    let (reconciling, stalled, ready) =
        (of("Reconciling"), of("Stalled"), of("Ready").expect("Ready"));
    assert!(
        reconciling.is_none() || stalled.is_none(),
        "both Reconciling and Stalled: {:?}",
        status.conditions
    );
    assert!(
        [reconciling, stalled].into_iter().flatten().all(|condition| condition.status == "True")
    );
    assert!(of("Accepted").is_some());
    assert!(status.observed_generation == Some(world.generation) || !world.trusted);
    let held = [
        "InvalidSpec",
        "Refused",
        "SpecChanged",
        "InvalidStatus",
        "UnknownField",
        "DefinitionTooOld",
    ]
    .contains(&ready.reason.as_str());
    if held {
        assert_eq!((ready.status.as_str(), stalled.is_some()), ("False", true));
        return;
    }
    let suspended =
        (world.spec.suspend == Some(true) || status.paused.is_some()) && !world.deleting;
    let wanted = match status.phase.expect("a phase") {
        SagaPhase::Pending | SagaPhase::Running => ("Unknown", true, false),
        SagaPhase::Paused => ("False", false, false),
        SagaPhase::Compensating => ("False", !suspended, false),
        SagaPhase::Completed => ("True", false, false),
        SagaPhase::Failed
        | SagaPhase::Compensated
        | SagaPhase::CompensationFailed
        | SagaPhase::Cancelled => ("False", false, true),
    };
    assert_eq!(
        (ready.status.as_str(), reconciling.is_some(), stalled.is_some()),
        wanted,
        "{status:#?}"
    );
    assert!(
        status
            .message
            .as_ref()
            .is_some_and(|message| !message.is_empty() && !message.starts_with('.')),
        "{:?}",
        status.message
    );
}

pub(crate) fn records(
    status: &SagaStatus,
) -> impl Iterator<Item = (&StepStatus, Direction, &DirectionStatus)> {
    status.steps.iter().flat_map(|step| {
        DIRECTIONS
            .into_iter()
            .filter_map(move |direction| Some((step, direction, step.direction(direction)?)))
    })
}

/// Asserts the lengths of the schema. With a longer text, the API server would refuse every write
/// of the saga.
pub(crate) fn bounds(status: &SagaStatus) {
    let within =
        |text: &Option<String>, most| text.as_ref().is_none_or(|text| text.chars().count() <= most);
    assert!(
        within(&status.message, 4096)
            && within(&status.progress, 32)
            && within(&status.current_steps, 8320)
    );
    for step in &status.steps {
        assert!(within(&step.message, 1024), "{:?}", step.message);
    }
    assert!(status.requests.len() <= 10 && status.handled_tokens.len() <= 128);
    for record in &status.requests {
        let short = |text: &str, most| text.chars().count() <= most;
        assert!(
            record.value.len() <= 128
                && short(&record.message, 512)
                && record.token.as_ref().is_none_or(|token| short(token, 63))
        );
    }
    for (_, _, record) in records(status) {
        assert!(
            record.attempts.len() <= 5
                && record.attempts.iter().all(|attempt| within(&attempt.message, 512))
        );
    }
}

pub(crate) fn budgets(world: &World, status: &SagaStatus) {
    let Ok(saga) = &world.saga else { return };
    for (step, direction, record) in records(status) {
        let valid = saga
            .steps
            .iter()
            .find(|valid| valid.name == step.name)
            .and_then(|valid| valid.operation(direction));
        let most = i64::from(valid.expect("an operation").retry.max_attempts);
        assert!(record.disruptions <= 5, "{} disruptions are free of charge", record.disruptions);
        assert!(
            record.called_off <= 5,
            "{} are free of charge since they were called off",
            record.called_off
        );
        let budgets = 1 + status.retry_requests;
        let free = record.disruptions + record.called_off + 5 * status.retry_requests;
        assert!(
            record.attempt <= most * budgets + free,
            "attempt {} of {} {direction}, of {most}",
            record.attempt,
            step.name
        );
    }
}

/// Returns whether a step is an HTTP request that changes nothing and has no compensation.
fn only_asks(world: &World, name: &str) -> bool {
    let step = world.spec.steps.iter().find(|step| step.name == name).expect("the step");
    step.compensation.is_none() && step.http.as_ref().is_some_and(|http| http.method.only_asks())
}

pub(crate) fn ends(world: &World, status: &SagaStatus) {
    let in_effect = &world.services.in_effect;
    match status.phase.expect("a phase") {
        SagaPhase::Completed => {
            assert!(
                status.steps.iter().all(|step| step.phase.is_done()),
                "Completed with an unfinished step"
            );
            let skipped = |step: &&StepStatus| {
                step.phase == StepPhase::Skipped
                    && step.action.as_ref().is_some_and(|action| action.uncertain)
            };
            let uncertain: Vec<_> =
                status.steps.iter().filter(skipped).map(|step| step.name.clone()).collect();
            assert_eq!(status.still_in_effect, Some(uncertain));
        }
        SagaPhase::Compensated | SagaPhase::CompensationFailed => {
            let named = status.still_in_effect.clone().expect("stillInEffect");
            let forgotten: Vec<_> = in_effect
                .iter()
                .filter(|step| !named.contains(step) && !only_asks(world, step))
                .collect();
            assert!(forgotten.is_empty(), "{forgotten:?} are in effect and not named in {named:?}");
            let order: Vec<_> = world
                .spec
                .steps
                .iter()
                .map(|step| &step.name)
                .filter(|name| named.contains(name))
                .collect();
            assert_eq!(
                named.iter().collect::<Vec<_>>(),
                order,
                "stillInEffect is not in list order"
            );
            if status.phase == Some(SagaPhase::Compensated) {
                let skipped = |name: &str| {
                    let skipped = |phase| {
                        matches!(phase, StepPhase::Skipped | StepPhase::CompensationSkipped)
                    };
                    status.steps.iter().any(|step| step.name == name && skipped(step.phase))
                };
                let could = |name: &&String| {
                    !skipped(name)
                        && world
                            .spec
                            .steps
                            .iter()
                            .any(|step| step.name == **name && step.compensation.is_some())
                };
                assert_eq!(
                    named.iter().find(could),
                    None,
                    "a step with a compensation is left in effect"
                );
            }
            let reason = if status.phase == Some(SagaPhase::CompensationFailed) {
                "CompensationFailed"
            } else if named.is_empty() {
                "Compensated"
            } else {
                "CompensatedExcept"
            };
            let stalled = world.condition("Stalled");
            assert!(
                held(status) || stalled.as_deref() == Some(format!("True/{reason}").as_str()),
                "{stalled:?}"
            );
        }
        SagaPhase::Cancelled => {
            let named = status.still_in_effect.clone().expect("stillInEffect");
            let forgotten: Vec<_> = in_effect
                .iter()
                .filter(|step| !named.contains(step) && !only_asks(world, step))
                .collect();
            assert!(forgotten.is_empty(), "{forgotten:?} are in effect and not named in {named:?}");
            assert!(active_attempts(status).next().is_none(), "Cancelled with an active attempt");
            assert!(
                status.requests.iter().any(|request| request.action == RequestAction::Cancel),
                "Cancelled without being asked"
            );
        }
        SagaPhase::Pending
        | SagaPhase::Running
        | SagaPhase::Paused
        | SagaPhase::Failed
        | SagaPhase::Compensating => {
            assert_eq!(status.still_in_effect, None);
        }
    }
    assert_eq!(status.completed_at.is_some(), status.phase.is_some_and(SagaPhase::is_terminal));
}

/// Returns whether the saga cannot continue until a user mends it.
pub(crate) fn held(status: &SagaStatus) -> bool {
    let holds = ["InvalidSpec", "SpecChanged", "InvalidStatus", "UnknownField"];
    status
        .conditions
        .iter()
        .any(|condition| condition.type_ == "Stalled" && holds.contains(&condition.reason.as_str()))
}
