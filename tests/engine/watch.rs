//! What must hold at every plan, every write, every effect and at every rest, in every test.

use std::collections::BTreeSet;

use saga_operator::{
    api::{
        Direction, DirectionStatus, OnFailure, Part, RequestAction, SagaPhase, SagaStatus, Step,
        StepPhase, StepStatus, names::idempotency_key, status::active_attempts,
    },
    engine::{invariants, plan as decide},
    model::{
        count,
        input::Seen,
        observation::ChildState,
        plan::{Effect, Finalizer, Plan, StatusWrite},
        saga::Identity,
    },
};

use crate::world::World;

const DIRECTIONS: [Direction; 2] = [Direction::Action, Direction::Compensation];

/// A second look at what the plan wrote, with the same eyes, writes nothing and begins nothing.
pub fn plan(world: &World, seen: &Seen<'_>, plan: &Plan) {
    if let Some(saga) = world.saga.as_ref().ok().filter(|_| world.trusted) {
        assert_eq!(
            invariants::check_plan(saga, seen, plan),
            Vec::<String>::new(),
            "{:?}\n{plan:?}",
            seen.status
        );
    }
    let Some(StatusWrite::Whole(status)) = &plan.status else { return };
    let status: Part<SagaStatus> = Ok((**status).clone());
    let finalizer = match plan.finalizer {
        Finalizer::Add => true,
        Finalizer::Remove => false,
        Finalizer::Keep => seen.finalizer,
    };
    let second = decide(&world.saga, &Seen { status: &status, finalizer, ..seen.clone() });
    assert_eq!(second.status, None, "a second look changes the status again");
    for effect in second.drafted_effects() {
        let Effect::Begin { identity, .. } = effect else { continue };
        let absent = matches!(
            seen.children.get(&identity.attempt),
            Some(ChildState::Absent(_) | ChildState::Standing { .. })
        );
        assert!(absent, "a second look begins {}", identity.attempt);
    }
}

/// The stored status after a write.
pub fn write(world: &World, before: &SagaStatus) {
    let status = world.status();
    // What was forged in an ended saga stands, where the write says no more than that its spec was
    // seen.
    if world.trusted || without_generation(before) != without_generation(&status) {
        conditions(&status, world);
    }
    if !world.trusted {
        return;
    }
    if let Ok(saga) = &world.saga {
        assert_eq!(invariants::check(saga, &status), Vec::<String>::new());
    }
    budgets(world, &status);
    attempts_begun_by_the_write(world, before, &status);
    bounds(&status);
    let size = serde_json::to_string(&status).unwrap().len();
    assert!(size <= 256 * 1024, "a status of {size} bytes");
    ends(world, &status);
}

/// A status but for the generation of the spec that it speaks of.
fn without_generation(status: &SagaStatus) -> SagaStatus {
    let mut status = SagaStatus { observed_generation: None, ..status.clone() };
    for condition in &mut status.conditions {
        condition.observed_generation = None;
    }
    status
}

/// Design 6: what kstatus and Argo CD read.
fn conditions(status: &SagaStatus, world: &World) {
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

fn records(
    status: &SagaStatus,
) -> impl Iterator<Item = (&StepStatus, Direction, &DirectionStatus)> {
    status.steps.iter().flat_map(|step| {
        DIRECTIONS
            .into_iter()
            .filter_map(move |direction| Some((step, direction, step.direction(direction)?)))
    })
}

/// The lengths that the schema takes: a longer text would make the API server refuse every write of
/// the saga.
fn bounds(status: &SagaStatus) {
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

fn budgets(world: &World, status: &SagaStatus) {
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

fn attempts_begun_by_the_write(world: &World, before: &SagaStatus, after: &SagaStatus) {
    let old: BTreeSet<_> = active_attempts(before).map(|(id, _)| id).collect();
    let new: Vec<_> =
        active_attempts(after).map(|(id, _)| id).filter(|id| !old.contains(id)).collect();
    let phase_of =
        |name: &str| after.steps.iter().find(|step| step.name == name).expect("a step").phase;
    for id in &new {
        let step =
            world.spec.steps.iter().find(|step| step.name == id.step).expect("a step of the spec");
        match id.direction {
            // What it must wait for is the engine's own invariant.
            Direction::Action => {}
            Direction::Compensation => {
                assert!(step.compensation.is_some());
                assert!(
                    records(after).all(|(_, direction, record)| direction != Direction::Action
                        || record.active.is_none())
                );
                for dependant in dependants(&world.spec.steps, &id.step) {
                    let spec = world
                        .spec
                        .steps
                        .iter()
                        .find(|step| step.name == dependant)
                        .expect("a step of the spec");
                    let waits = match phase_of(&dependant) {
                        StepPhase::Completed => spec.compensation.is_some(),
                        StepPhase::Compensating
                        | StepPhase::CompensationFailed
                        | StepPhase::Running
                        | StepPhase::Waiting
                        | StepPhase::Retrying => true,
                        StepPhase::Failed => {
                            spec.compensation.is_some()
                                && world.other_side.in_effect.contains(&dependant)
                        }
                        StepPhase::Pending
                        | StepPhase::Skipped
                        | StepPhase::Compensated
                        | StepPhase::CompensationSkipped => false,
                    };
                    assert!(
                        !waits,
                        "{id} begins although {dependant} is {:?}",
                        phase_of(&dependant)
                    );
                }
            }
        }
    }
    latest_first(
        world,
        before,
        after,
        &new.iter()
            .filter(|id| id.direction == Direction::Compensation)
            .map(|id| id.step.as_str())
            .collect(),
    );
}

/// Among the steps that are free to be undone and were not begun yet, none settled later than one
/// that begins.
fn latest_first(world: &World, before: &SagaStatus, after: &SagaStatus, begun: &BTreeSet<&str>) {
    let sequence =
        |name: &str| after.steps.iter().find(|step| step.name == name)?.action.as_ref()?.sequence;
    let never_tried = |status: &SagaStatus, name: &str| {
        status.steps.iter().any(|step| step.name == name && step.compensation.is_none())
    };
    let Some(earliest) = begun
        .iter()
        .filter(|name| never_tried(before, name))
        .filter_map(|name| sequence(name))
        .min()
    else {
        return;
    };
    for step in &world.spec.steps {
        let done = after
            .steps
            .iter()
            .any(|status| status.name == step.name && status.phase == StepPhase::Completed);
        if !done || step.compensation.is_none() {
            continue;
        }
        let free = dependants(&world.spec.steps, &step.name).iter().all(|dependant| {
            let spec =
                world.spec.steps.iter().find(|spec| spec.name == *dependant).expect("a step");
            let phase =
                after.steps.iter().find(|status| status.name == *dependant).expect("a step").phase;
            match phase {
                StepPhase::Completed => spec.compensation.is_none(),
                StepPhase::Pending
                | StepPhase::Skipped
                | StepPhase::Compensated
                | StepPhase::CompensationSkipped => true,
                StepPhase::Failed => {
                    !world.other_side.in_effect.contains(dependant) && spec.compensation.is_none()
                }
                StepPhase::Running
                | StepPhase::Waiting
                | StepPhase::Retrying
                | StepPhase::Compensating
                | StepPhase::CompensationFailed => false,
            }
        });
        let later = sequence(&step.name).is_some_and(|own| own > earliest);
        assert!(
            !(free && later),
            "{} settled later than {begun:?} and is not undone first",
            step.name
        );
    }
}

/// The steps that depend on one, directly or through others.
fn dependants(steps: &[Step], name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // A step depends only on earlier ones: one walk down the list finds all.
    for step in steps {
        if step.depends_on.iter().flatten().any(|needed| needed == name || found.contains(needed)) {
            found.insert(step.name.clone());
        }
    }
    found
}

/// Whether a step is a request that changes nothing, and nothing was written to undo it.
fn only_asks(world: &World, name: &str) -> bool {
    let step = world.spec.steps.iter().find(|step| step.name == name).expect("the step");
    step.compensation.is_none() && step.http.as_ref().is_some_and(|http| http.method.only_asks())
}

fn ends(world: &World, status: &SagaStatus) {
    let in_effect = &world.other_side.in_effect;
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

/// An effect that is about to leave.
pub fn begin(world: &World, identity: &Identity, place: usize) {
    let status = world.status();
    let id = &identity.attempt;
    let active = active_attempts(&status).find(|(active, _)| active == id);
    let (_, intent) = active
        .unwrap_or_else(|| panic!("{id} begins although no intent of it stands in the status"));
    if let Some(executor) = &intent.executor {
        assert_eq!(
            *executor,
            world.executor(),
            "{id} is sent by another process than the one named in the intent"
        );
        let sent = world.other_side.sent.iter().any(|sent| sent.attempt == *id);
        assert!(!sent || !world.trusted, "the request {id} is sent twice");
    }
    assert!(world.finalizer, "{id} begins although nothing keeps the saga");
    let saga = world.saga.as_ref().expect("a valid saga");
    assert_eq!(saga.steps[place].name, id.step);
    let record = status.steps[place].direction(id.direction).expect("a record");
    assert_eq!(
        identity.key,
        idempotency_key(&saga.key_scope, &id.step, id.direction, record.failures)
    );
    for earlier in world.other_side.sent.iter().filter(|sent| sent.attempt == *id && world.trusted)
    {
        assert_eq!(earlier.key, identity.key, "{id} is begun under two keys");
    }
}

/// Whether the saga cannot go on before a person mended it.
fn held(status: &SagaStatus) -> bool {
    let holds = ["InvalidSpec", "SpecChanged", "InvalidStatus", "UnknownField"];
    status
        .conditions
        .iter()
        .any(|condition| condition.type_ == "Stalled" && holds.contains(&condition.reason.as_str()))
}

/// A saga rests only where it is done, or waits for a person.
pub fn rest(world: &World) {
    // One of another version rests for this one wherever it stands.
    if world.gone
        || world.stored.strangers.as_ref().is_some_and(|strangers| !strangers.words.is_empty())
    {
        return;
    }
    let status = world.status();
    let ready = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
        .map_or("", |ready| ready.reason.as_str());
    assert!(
        !world.trusted || count::counted_as(&world.stored).1 == ready,
        "{ready} is counted under another word"
    );
    let plain = world
        .stored
        .asked
        .iter()
        .find(|asked| asked.token().is_none() && !asked.is_empty() && !asked.held_in_git);
    assert!(
        plain.is_none() || world.stored.status.is_err() || !world.trusted,
        "{plain:?} is not answered"
    );
    let held = held(&status);
    let paused = world.spec.suspend == Some(true) || status.paused.is_some();
    let asks = status.steps.iter().any(|step| step.phase == StepPhase::Waiting);
    let children = active_attempts(&status).count()
        > status.steps.iter().filter(|step| step.phase == StepPhase::Waiting).count();
    let suspended = (paused || asks) && !world.deleting && !children;
    let waits = match status.phase {
        Some(SagaPhase::CompensationFailed) => true,
        Some(SagaPhase::Completed | SagaPhase::Compensated | SagaPhase::Cancelled) => {
            !world.deleting || world.parent_holds
        }
        Some(SagaPhase::Failed) => !world.deleting,
        Some(
            SagaPhase::Pending | SagaPhase::Running | SagaPhase::Paused | SagaPhase::Compensating,
        )
        | None => false,
    };
    assert!(held || suspended || waits, "a lost wake-up: rests in {:?}: {status:?}", status.phase);
    if status.phase == Some(SagaPhase::Failed)
        && world.spec.on_failure == Some(OnFailure::Compensate)
        && !suspended
    {
        let pivot = world.spec.steps.iter().zip(&status.steps).any(|(step, status)| {
            let uncertain = status.action.as_ref().is_some_and(|action| action.uncertain);
            step.pivot == Some(true) && (status.phase.is_done() || uncertain)
        });
        assert!(pivot, "is held although it should be undone");
    }
    if status.phase.is_some_and(SagaPhase::is_terminal) && !held {
        assert!(!world.finalizer || world.parent_holds, "an ended saga keeps its finalizer");
    }
}
