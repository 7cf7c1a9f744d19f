//! What a person has to mend first: a spec that is not valid, a spec that changed, a status that contradicts itself.

use saga_operator::api::{DeletionPolicy, SagaPhase, StepPhase};
use serde_json::json;

use crate::{
    saga::{Draft, duration, saga},
    script::{seconds, succeeds},
    world::World,
};

fn order() -> Draft {
    saga().http("a").undo().then_http("b").undo().timeout("1m").then_http("c").pivot()
}

/// A saga whose second step runs.
fn under_way() -> World {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(30))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world
}

fn assert_held(world: &mut World, reason: &str) {
    let (sent, writes) = (world.sent().len(), world.writes);
    world.run_to_rest();
    assert_eq!(world.condition("Stalled"), Some(format!("True/{reason}")));
    assert_eq!(world.condition("Ready"), Some(format!("False/{reason}")));
    assert_eq!((world.sent().len(), world.writes), (sent, writes + 1));
    assert_eq!(world.warnings(), [reason]);
    world.run_for(seconds(10_000));
    world.crash(seconds(1));
    world.run_to_rest();
    assert_eq!((world.sent().len(), world.writes), (sent, writes + 1), "a resync writes again");
    assert_eq!(world.warnings(), [reason]);
}

#[test]
fn an_invalid_spec_is_refused_with_all_its_faults() {
    let mut world = World::with(saga().http("A").then_http("b").after(&["nobody"]).parallel(65));
    assert_held(&mut world, "InvalidSpec");
    assert_eq!((world.phase(), world.condition("Accepted").as_deref()), (SagaPhase::Pending, Some("False/InvalidSpec")));
    let message = world.message();
    for path in ["spec.maxParallel: ", "spec.steps[0].name: ", "spec.steps[1].dependsOn[0]: "] {
        assert!(message.contains(path), "{message}");
    }
    assert_eq!(world.status().observed_generation, Some(1));
    assert!(world.status().spec_hash.is_none() && !world.finalizer);
}

#[test]
fn a_refused_spec_that_is_mended_runs() {
    let mut world = World::with(saga().http("a").parallel(0));
    world.run_to_rest();
    world.edit(|spec| spec.max_parallel = None);
    world.run_to_rest();
    assert_eq!((world.phase(), world.condition("Stalled")), (SagaPhase::Completed, None));
    assert_eq!(world.condition("Accepted").as_deref(), Some("True/Accepted"));
}

#[test]
fn a_refused_saga_goes_when_it_is_deleted() {
    let mut world = World::with(saga().http("a").parallel(0));
    world.run_to_rest();
    world.delete();
    assert!(world.gone);
}

#[test]
fn a_spec_that_turns_invalid_under_way_stops_everything_until_it_is_mended() {
    let mut world = under_way();
    world.edit(|spec| spec.max_parallel = Some(0));
    assert_held(&mut world, "InvalidSpec");
    assert_eq!((world.phase(), world.condition("Accepted").as_deref()), (SagaPhase::Running, Some("True/Accepted")));
    world.edit(|spec| spec.max_parallel = None);
    world.run_to_rest();
    assert_eq!(world.condition("Stalled").as_deref(), Some("True/StepFailed"));
    // The process had died with the request.
    assert_eq!((world.phase(), world.is("b", StepPhase::Failed)), (SagaPhase::Failed, true));
}

#[test]
fn a_changed_spec_starts_nothing_until_it_is_restored() {
    let mut world = under_way();
    world.edit(|spec| spec.steps[0].timeout = Some(duration("7s")));
    assert_held(&mut world, "SpecChanged");
    assert!(world.message().contains("restore the spec"), "{}", world.message());
    world.edit(|spec| spec.steps[0].timeout = None);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Failed);
}

#[test]
fn a_changed_spec_undoes_nothing_when_it_is_deleted() {
    let mut world = under_way();
    world.edit(|spec| spec.steps[0].timeout = Some(duration("7s")));
    world.delete();
    assert_held(&mut world, "SpecChanged");
    assert!(!world.gone && world.finalizer);
    world.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    world.run_to_rest();
    assert!(world.gone && world.undone().is_empty());
}

#[test]
fn a_changed_spec_cannot_move_the_pivot_to_get_rid_of_the_undo() {
    let mut world = under_way();
    world.edit(|spec| spec.steps[0].pivot = Some(true));
    world.delete();
    assert_held(&mut world, "SpecChanged");
    assert!(!world.gone);
    world.edit(|spec| spec.steps[0].pivot = None);
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["b", "a"]));
}

#[test]
fn the_pinned_fields_are_steps_params_and_prefix() {
    let mut world = under_way();
    world.edit(|spec| spec.params = json!({"order": "7"}).as_object().cloned());
    assert_held(&mut world, "SpecChanged");
    let mut world = under_way();
    world.edit(|spec| spec.idempotency_prefix = Some("other".into()));
    assert_held(&mut world, "SpecChanged");
    let mut world = under_way();
    world.edit(|spec| (spec.max_parallel, spec.service_account_name) = (Some(9), Some("other".into())));
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_completed_saga_does_not_mind_a_changed_spec() {
    let mut world = World::with(order());
    world.run_to_rest();
    let writes = world.writes;
    world.edit(|spec| spec.steps[0].timeout = Some(duration("7s")));
    world.edit(|spec| spec.max_parallel = Some(0));
    world.run_to_rest();
    assert_eq!((world.phase(), world.writes), (SagaPhase::Completed, writes));
    world.delete();
    world.run_to_rest();
    assert!(world.gone);
}
