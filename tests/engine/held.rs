//! What a user must mend first: a spec that is not valid, a spec that changed, a status that
//! contradicts itself.

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

/// Creates a saga whose second step runs.
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
    let said = |world: &World| world.warnings().iter().filter(|said| **said == reason).count();
    assert_eq!(said(world), 1);
    world.run_for(seconds(10_000));
    world.crash(seconds(1));
    world.run_to_rest();
    assert_eq!((world.sent().len(), world.writes), (sent, writes + 1), "a resync writes again");
    assert_eq!(said(world), 1);
}

#[test]
fn an_invalid_spec_is_refused_with_all_its_faults() {
    let mut world = World::with(saga().http("A").then_http("b").after(&["nobody"]).parallel(65));
    assert_held(&mut world, "InvalidSpec");
    assert_eq!(
        (world.phase(), world.condition("Accepted").as_deref()),
        (SagaPhase::Pending, Some("False/InvalidSpec"))
    );
    let message = world.message();
    for path in ["spec.maxParallel: ", "spec.steps[0].name: ", "spec.steps[1].dependsOn[0]: "] {
        assert!(message.contains(path), "{message}");
    }
    assert_eq!(world.status().observed_generation, Some(1));
    assert!(world.status().spec_hash.is_none() && !world.finalizer);
}

#[test]
fn the_condition_accepted_tells_every_fault_and_the_message_the_first_ones() {
    let mut spec = saga().http("A0");
    for nth in 1..100 {
        spec = spec.then_http(&format!("A{nth}"));
    }
    let mut world = World::with(spec);
    world.run_to_rest();
    assert!(
        world.message().contains("spec.steps[4].name: ") && world.message().contains("and 95 more"),
        "{}",
        world.message()
    );
    let status = world.status();
    let accepted =
        status.conditions.iter().find(|condition| condition.type_ == "Accepted").unwrap();
    let told = (0..100)
        .filter(|nth| accepted.message.contains(&format!("spec.steps[{nth}].name: ")))
        .count();
    assert!(accepted.message.chars().count() <= 8192 + 20, "{}", accepted.message);
    assert!(
        told > 40 && accepted.message.ends_with(&format!("; and {} more", 100 - told)),
        "{told}: {}",
        accepted.message
    );
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
    assert_eq!(
        (world.phase(), world.condition("Accepted").as_deref()),
        (SagaPhase::Running, Some("True/Accepted"))
    );
    world.edit(|spec| spec.max_parallel = None);
    world.run_to_rest();
    assert_eq!(world.condition("Stalled").as_deref(), Some("True/StepFailed"));
    // The HTTP request of step `b` was lost when the process died.
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
fn a_held_saga_does_not_hold_up_the_deletion_of_its_namespace() {
    let mut world = under_way();
    world.edit(|spec| spec.steps[0].timeout = Some(duration("7s")));
    world.terminating = true;
    world.delete();
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
    world.edit(|spec| {
        (spec.max_parallel, spec.service_account_name) = (Some(9), Some("other".into()));
    });
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
    assert_eq!((world.phase(), world.writes), (SagaPhase::Completed, writes + 1));
    assert_eq!(
        world.status().observed_generation,
        Some(world.generation),
        "who changed it reads that it was seen"
    );
    world.delete();
    world.run_to_rest();
    assert!(world.gone);
}

#[test]
fn a_status_that_cannot_be_read_is_kept_and_said_so_once() {
    let mut world = under_way();
    let mut status = world.raw.clone();
    status["steps"][1]["phase"] = json!(7);
    world.forge(status.clone());
    assert_held(&mut world, "InvalidStatus");
    assert!(world.message().contains("status.steps[1].phase: "), "{}", world.message());
    assert_eq!(world.raw["steps"], status["steps"]);
    world.delete();
    world.run_to_rest();
    assert!(!world.gone && world.finalizer);
    world.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    world.run_to_rest();
    assert!(world.gone);
}

#[test]
fn a_status_that_contradicts_itself_is_held_and_said_so_once() {
    let contradictions: [(&str, serde_json::Value, &str); 11] = [
        (
            "/steps/0",
            json!({"name": "a", "phase": "Pending"}),
            "step b was started although not all it depends on is done",
        ),
        ("/phase", json!(null), "steps have begun although the saga has not"),
        ("/phase", json!("Completed"), "the saga is Completed although not every step is"),
        ("/phase", json!("Compensating"), "a step runs although the saga is being undone"),
        (
            "/steps/0/phase",
            json!("Pending"),
            "step a is Pending although an attempt of its action was made",
        ),
        ("/steps/0/phase", json!("Failed"), "step a is Failed although its action succeeded"),
        (
            "/steps/0/action/attempt",
            json!(-1),
            "step a is Completed with a count that no saga reaches",
        ),
        (
            "/steps/0/action/lastOutcome",
            json!("Unknown"),
            "step a is Completed although its action did not succeed",
        ),
        (
            "/steps/1/phase",
            json!("Completed"),
            "step b is Completed and has an active attempt of its action",
        ),
        ("/steps", json!([]), "status.steps is empty although the saga was accepted"),
        ("/settled", json!(0), "settled is lower than the sequence of step a"),
    ];
    for (pointer, value, sentence) in contradictions {
        let mut world = under_way();
        let mut status = world.raw.clone();
        *status.pointer_mut(pointer).unwrap() = value;
        world.forge(status);
        assert_held(&mut world, "InvalidStatus");
        assert!(world.message().contains(sentence), "{}", world.message());
        world.delete();
        world.run_to_rest();
        assert!(
            world.gone == (pointer == "/phase" && world.phase() == SagaPhase::Completed),
            "{pointer}"
        );
    }
}

#[test]
fn what_is_undone_has_a_compensation() {
    let mut world =
        World::with(saga().http("a").then_http("b").undo().then_http("c").compensating());
    world = world.fails("c", 1).on_undo("b", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Compensating));
    let mut status = world.raw.clone();
    status["steps"][0]["phase"] = json!("Compensating");
    status["steps"][0]["compensation"] = status["steps"][1]["compensation"].clone();
    world.forge(status);
    assert_held(&mut world, "InvalidStatus");
    assert!(
        world.message().contains("step a is Compensating although it has no compensation"),
        "{}",
        world.message()
    );
}

#[test]
fn a_mended_status_goes_on() {
    let mut world = under_way();
    let (good, mut bad) = (world.raw.clone(), world.raw.clone());
    bad["steps"][0]["phase"] = json!("Pending");
    world.forge(bad);
    world.run_to_rest();
    assert_eq!(world.condition("Stalled").as_deref(), Some("True/InvalidStatus"));
    world.restore(good);
    world.run_to_rest();
    assert_eq!((world.phase(), world.condition("Stalled")), (SagaPhase::Completed, None));
}

#[test]
fn a_request_that_differs_from_the_one_sent_with_its_key_is_not_sent() {
    let draft = saga().http("a").retry(crate::saga::attempts(3));
    let mut world = World::with(draft.clone()).on("a", vec![crate::script::unknown()]);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    let mut status = world.raw.clone();
    status["steps"][0]["action"]["requestHash"] = json!("v1:another");
    world.restore(status);
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Failed, 1));
    assert!(
        world.message().contains(
            "the request differs from the one that was sent with the same idempotency key"
        ),
        "{}",
        world.message()
    );
    // After a definite failure the key is new, so the HTTP request may differ.
    let mut world = World::with(draft).fails("a", 1);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    assert_eq!(world.step("a").action.unwrap().request_hash, None);
}
