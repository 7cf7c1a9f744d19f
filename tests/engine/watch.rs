//! What must hold at every plan, every write, every effect and every rest, in every test.

use saga_operator::{
    api::{
        Decoded, OnFailure, SagaPhase, SagaStatus, StepPhase, names::idempotency_key,
        status::active_attempts,
    },
    engine::{invariants, plan as decide},
    model::{
        count,
        input::{PlanInput, StoredFacts},
        observation::{ChildState, Present},
        plan::{Effect, Finalizer, Plan, StatusWrite},
        saga::Identity,
    },
};

use crate::{
    watch_status::{bounds, budgets, conditions, ends, held},
    watch_undo::attempts_begun_by_the_write,
    world::World,
};

/// Asserts the invariants of a plan. Also asserts that a second reconcile after the write, with the
/// same observations, writes nothing and begins only attempts whose children are absent or whose
/// objects still stand.
pub fn plan(world: &World, seen: &PlanInput<'_>, plan: &Plan) {
    if let Some(saga) = world.saga.as_ref().ok().filter(|_| world.trusted) {
        assert_eq!(
            invariants::check_plan(saga, seen, plan),
            Vec::<String>::new(),
            "{:?}\n{plan:?}",
            seen.stored.status
        );
    }
    let Some(StatusWrite::Whole(status)) = &plan.status else { return };
    let status: Decoded<SagaStatus> = Ok((**status).clone());
    let finalizer = match plan.finalizer {
        Finalizer::Add => true,
        Finalizer::Remove => false,
        Finalizer::Keep => seen.stored.finalizer,
    };
    let stored = StoredFacts { status: &status, finalizer, ..seen.stored };
    let second = decide(&world.saga, &PlanInput { stored, ..seen.clone() });
    assert_eq!(second.status, None, "a second look changes the status again");
    for effect in second.drafted_effects() {
        let Effect::Begin { identity, .. } = effect else { continue };
        let absent = matches!(
            seen.surroundings.children.get(&identity.attempt),
            Some(ChildState::Absent(_) | ChildState::Present(Present::Standing { .. }))
        );
        assert!(absent, "a second look begins {}", identity.attempt);
    }
}

/// Asserts what must hold of the stored status after a write.
pub fn write(world: &World, before: &SagaStatus) {
    let status = world.status();
    // Forged conditions of an ended saga stay if the write only records that the spec was seen.
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

/// Returns a status without the generation of the spec that the status is about.
fn without_generation(status: &SagaStatus) -> SagaStatus {
    let mut status = SagaStatus { observed_generation: None, ..status.clone() };
    for condition in &mut status.conditions {
        condition.observed_generation = None;
    }
    status
}

/// Asserts what must hold of an attempt that is about to begin.
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
        let sent = world.services.sent.iter().any(|sent| sent.attempt == *id);
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
    for earlier in world.services.sent.iter().filter(|sent| sent.attempt == *id && world.trusted) {
        assert_eq!(earlier.key, identity.key, "{id} is begun under two keys");
    }
}

/// Asserts that a saga rests only if it has ended or waits for a user.
pub fn rest(world: &World) {
    // A saga whose status has words of another version rests for this version in any state.
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
        .find(|asked| asked.token().is_none() && !asked.is_empty() && !asked.reapplied);
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
