//! Steps that delete an object. The UID of the object is in the status before any deletion is sent.
//! An object that is created again under the same name is left alone.

use std::time::Duration;

use saga_operator::{
    api::{Outcome, SagaSpec, SagaStatus, StepPhase},
    engine::plan,
    model::{
        input::{PlanInput, ThisProcess},
        observation::{ChildState, End, Observations, Present},
        plan::{Effect, StatusWrite},
    },
};
use serde_json::json;

use crate::{saga::Draft, script::seconds, world::World};

/// What an operator does in one reconcile.
struct Look {
    /// The status that the operator writes.
    writes: Option<SagaStatus>,
    /// The UID that each deletion is limited to.
    deletes: Vec<Option<String>>,
}

/// Creates a world with an attempt at a deletion whose intent was just written.
fn world() -> World {
    let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "old"});
    let spec: SagaSpec = serde_json::from_value(
        json!({"steps": [{"name": "clear", "delete": reference, "timeout": "1m"}]}),
    )
    .unwrap();
    let mut world = World::with(Draft(spec));
    world.finalizer = true;
    let look = look_at(&mut world, None, false);
    assert!(look.deletes.is_empty(), "what is to be deleted is looked at first");
    let active = world.step("clear").action.unwrap().active.unwrap();
    assert_eq!((world.step("clear").phase, active.child_uid), (StepPhase::Running, None));
    world
}

/// Reconciles once with this observation, and stores what the operator writes.
fn look_at(world: &mut World, child: Option<&ChildState>, draining: bool) -> Look {
    let id = saga_operator::api::status::active_attempts(&world.status()).next().map(|(id, _)| id);
    let children: Observations = id.into_iter().zip(child.cloned()).collect();
    let executor = world.executor();
    let plan = {
        let seen = world.seen(&children, &executor);
        let process = ThisProcess { draining, ..seen.process.clone() };
        let seen = PlanInput { process, ..seen };
        let plan = plan(&world.saga, &seen);
        crate::watch::plan(world, &seen, &plan);
        plan
    };
    let writes = plan.status.as_ref().map(|write| match write {
        StatusWrite::Whole(status) | StatusWrite::Verdict(status) => (**status).clone(),
    });
    if let Some(status) = &writes {
        world.restore(json!(status));
    }
    let uid = |effect: &Effect| {
        if let Effect::Begin { uid, .. } = effect { Some(uid.clone()) } else { None }
    };
    Look { writes, deletes: plan.drafted_effects().iter().filter_map(uid).collect() }
}

fn standing(uid: &str) -> ChildState {
    ChildState::Present(Present::Standing {
        uid: uid.into(),
        refused: false,
        known_for: seconds(10),
    })
}

fn refused(uid: &str, known_for: Duration) -> ChildState {
    ChildState::Present(Present::Standing { uid: uid.into(), refused: true, known_for })
}

fn going(uid: &str, age: Duration) -> ChildState {
    ChildState::Active {
        uid: Some(uid.into()),
        age,
        detail: "waits until it is gone".into(),
        trouble: None,
    }
}

/// Returns the observation while the object cannot be read.
fn out_of_sight() -> ChildState {
    let detail = "the kinds of the cluster cannot be read just now".into();
    ChildState::Active { uid: None, age: Duration::ZERO, detail, trouble: None }
}

fn noted(world: &World) -> Option<String> {
    world.step("clear").action.unwrap().active.unwrap().child_uid
}

fn outcome(world: &World) -> Option<Outcome> {
    world.step("clear").action.unwrap().last_outcome
}

#[test]
fn its_uid_is_written_in_the_plan_that_deletes_it_and_it_is_deleted_under_that_uid() {
    let mut world = world();
    let look = look_at(&mut world, Some(&standing("first")), false);
    assert_eq!(
        (noted(&world).as_deref(), look.deletes),
        (Some("first"), vec![Some("first".into())])
    );
    let again = look_at(&mut world, Some(&standing("first")), false);
    assert_eq!(
        (again.writes, again.deletes),
        (None, vec![Some("first".into())]),
        "who follows an operator that died deletes it, too"
    );
    look_at(&mut world, Some(&ChildState::Ended(End::Succeeded(None))), false);
    assert!(world.is("clear", StepPhase::Completed));
}

#[test]
fn what_was_made_again_under_its_name_is_another_ones() {
    for seen in [standing("second"), going("second", seconds(1))] {
        let mut world = world();
        look_at(&mut world, Some(&standing("first")), false);
        let look = look_at(&mut world, Some(&seen), false);
        assert_eq!(
            (world.step("clear").phase, look.deletes.len()),
            (StepPhase::Completed, 0),
            "{seen:?}"
        );
    }
}

#[test]
fn what_somebody_else_deletes_is_noted_at_once_and_waited_for() {
    let mut world = world();
    let look = look_at(&mut world, Some(&going("first", Duration::ZERO)), false);
    assert_eq!((noted(&world).as_deref(), look.deletes.len()), (Some("first"), 0));
    look_at(&mut world, Some(&standing("second")), false);
    assert!(world.is("clear", StepPhase::Completed), "it is gone, and another one stands there");
}

#[test]
fn what_it_waits_for_is_told_once_it_lasts_for_two_seconds() {
    let mut world = world();
    look_at(&mut world, Some(&standing("first")), false);
    let soon = look_at(&mut world, Some(&going("first", seconds(1))), false);
    assert_eq!((soon.writes, world.step("clear").message), (None, None));
    look_at(&mut world, Some(&going("first", seconds(2))), false);
    assert_eq!(world.step("clear").message.as_deref(), Some("waits until it is gone"));
    assert_eq!(look_at(&mut world, Some(&going("first", seconds(9))), false).writes, None);
}

#[test]
fn a_process_that_begins_nothing_any_more_writes_no_uid() {
    let mut world = world();
    let look = look_at(&mut world, Some(&standing("first")), true);
    assert_eq!((look.writes, look.deletes), (None, Vec::new()));
}

#[test]
fn past_its_time_it_counts_as_in_effect_only_where_its_deletion_may_have_left() {
    // Each row: the UID in the status, the observation after the time limit, and the outcome.
    let table = [
        (None, standing("first"), Some(Outcome::Failed)),
        (None, out_of_sight(), Some(Outcome::Failed)),
        (None, going("first", seconds(50)), Some(Outcome::Failed)),
        (Some("first"), out_of_sight(), Some(Outcome::Unknown)),
        (Some("first"), standing("first"), Some(Outcome::Unknown)),
        (Some("first"), refused("first", seconds(10)), Some(Outcome::Failed)),
        // Another replica may have sent the deletion a moment ago.
        (Some("first"), refused("first", seconds(1)), None),
        (Some("first"), going("first", seconds(50)), Some(Outcome::Unknown)),
        (Some("first"), standing("second"), Some(Outcome::Succeeded)),
    ];
    for (written, seen, wanted) in table {
        let mut world = world();
        if let Some(uid) = written {
            look_at(&mut world, Some(&standing(uid)), false);
        }
        world.now += seconds(60);
        let look = look_at(&mut world, Some(&seen), false);
        assert_eq!((outcome(&world), look.deletes.len()), (wanted, 0), "{written:?} {seen:?}");
    }
}

#[test]
fn what_was_never_asked_for_says_what_it_waited_for_and_is_not_undone() {
    let mut world = world();
    look_at(&mut world, Some(&out_of_sight()), false);
    world.now += seconds(60);
    look_at(&mut world, Some(&out_of_sight()), false);
    let step = world.step("clear");
    let says = "attempt 1 failed: not begun within its time limit: the kinds of the cluster cannot \
        be read just now";
    assert_eq!((step.phase, step.message.as_deref()), (StepPhase::Failed, Some(says)));
    assert!(!step.action.unwrap().uncertain);
}
