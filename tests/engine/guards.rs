//! Rules that depend on one comparison each, and have an effect only if two rare conditions
//! coincide.

use saga_operator::{
    api::{RequestAction, SagaPhase, SagaSpec, StepPhase},
    engine::plan,
    model::{observation::Observations, plan::Tally},
};
use serde_json::json;

use crate::{
    saga::{Draft, Policy, attempts, saga},
    scenes::{failed, order, until},
    script::{hands_on, seconds, succeeds, turned_away, unknown},
    world::World,
};

#[test]
fn a_request_that_was_turned_away_for_good_is_undone_where_the_step_says_that_failed_ones_are() {
    let draft = || saga().http("a").undo().retry(attempts(1)).compensating();
    let undone = |draft: Draft| {
        let mut world = World::with(draft).on("a", vec![turned_away()]);
        world.run_to_rest();
        assert_eq!(world.phase(), SagaPhase::Compensated);
        world.undone().len() == 1
    };
    assert!(undone(draft().compensate_failed(true)), "it was reached, if only at its door");
    assert!(!undone(draft()));
}

#[test]
fn a_retried_step_whose_when_failed_is_asked_again_whether_it_is_wanted() {
    let spec: SagaSpec = serde_json::from_value(json!({"steps": [
        {"name": "a", "pod": {"image": "a:1"}},
        {
            "name": "b", "dependsOn": ["a"], "when": "steps.a.outputs.wanted",
            "pod": {"image": "b:1"},
        },
    ]}))
    .unwrap();
    // The first step passes on no outputs, so the `when` of the second step cannot be evaluated.
    let mut world = World::with(Draft(spec)).on("a", vec![succeeds()]);
    world.run_to_rest();
    assert!(world.is("b", StepPhase::Failed), "{}", world.message());
    world.demand(RequestAction::Retry, "b");
    world.run_to_rest();
    assert!(world.is("b", StepPhase::Failed), "{}", world.message());
    assert_eq!(world.sent(), ["a/action/1"]);
}

#[test]
fn a_saga_hands_on_four_kibibytes_and_of_more_nothing() {
    let handed_on = |bytes: usize| {
        let spec: SagaSpec = serde_json::from_value(json!({
            "outputs": {"all": "${steps.a.outputs.half + steps.b.outputs.half}"},
            "steps": [
                {"name": "a", "pod": {"image": "a:1"}},
                {"name": "b", "pod": {"image": "b:1"}},
            ],
        }))
        .unwrap();
        let half = || vec![hands_on(json!({"half": "x".repeat(bytes / 2)}))];
        let mut world = World::with(Draft(spec)).on("a", half()).on("b", half());
        world.run_to_rest();
        assert_eq!(world.phase(), SagaPhase::Completed, "{}", world.message());
        (world.status().outputs.is_some(), world.warnings().contains(&"NoOutputs"))
    };
    let frame = json!({"all": ""}).to_string().len();
    assert_eq!(handed_on(4096 - frame), (true, false));
    assert_eq!(handed_on(4098 - frame), (false, true));
}

/// Returns what a reconcile of a world counts if nothing happened since the last reconcile.
fn counted(world: &World) -> Tally {
    plan(&world.saga, &world.seen(&Observations::new(), &world.executor())).tally
}

#[test]
fn a_look_at_a_saga_that_stands_still_counts_nothing() {
    assert_eq!(counted(&failed()), Tally::default(), "it failed once");
    let mut completed = World::with(order());
    completed.run_to_rest();
    assert_eq!(counted(&completed), Tally::default());
}

#[test]
fn each_thing_that_happens_is_counted_by_the_look_that_writes_it() {
    let world = World::with(saga().http("a").retry(attempts(2).always("1h")));
    let first = counted(&world);
    assert_eq!(
        (first.settled.len(), first.retries.len(), first.entered),
        (0, 0, Some(SagaPhase::Running))
    );
    let draft = saga().http("a").retry(attempts(2).always("1h"));
    let mut world = until(World::with(draft).on("a", vec![unknown()]), |world| {
        world.is("a", StepPhase::Retrying)
    });
    world.annotate("saga.dev/pause", "lunch");
    world.annotate("saga.dev/approve", "a");
    let asked = counted(&world);
    let answered: Vec<_> =
        asked.requests.iter().map(|(action, result)| (action.as_str(), result.as_str())).collect();
    assert_eq!(answered, [("pause", "Accepted"), ("approve", "Refused")]);
    assert_eq!(asked.entered, Some(SagaPhase::Paused));
    world.strip("saga.dev/pause");
    world.strip("saga.dev/approve");
    world.now += seconds(3600);
    let again = counted(&world);
    assert_eq!((again.retries.len(), again.entered, again.requests.len()), (1, None, 0));
}

#[test]
fn a_deleted_child_that_waits_for_its_parent_looks_again_although_nobody_tells_it() {
    let mut child = World::with(order());
    child.parent_holds = true;
    child.run_to_rest();
    assert_eq!(child.phase(), SagaPhase::Completed);
    let wakes = |child: &World| plan(&child.saga, &child.seen(&Observations::new(), "me")).wake;
    assert_eq!(wakes(&child), None, "a change of its parent is told");
    child.delete();
    assert_eq!(wakes(&child), Some(child.now + seconds(30)), "its parent may have gone unseen");
}
