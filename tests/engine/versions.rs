//! Two versions at work. What this version does not know holds the saga; what was accepted stays
//! accepted.

use std::collections::BTreeMap;

use saga_operator::{
    api::{DeletionPolicy, RELEASE, SagaPhase, StepPhase, crd},
    engine::plan,
    model::versions::Versions,
};
use serde_json::{Value, json};

use crate::{
    saga::{Draft, saga},
    script::{seconds, succeeds},
    world::World,
};

fn order() -> Draft {
    saga().http("a").undo().then_http("b").undo().timeout("1m").then_http("c").pivot()
}

/// Creates a saga whose second step runs.
pub(crate) fn under_way() -> World {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(30))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world
}

/// Returns the schema of the status of this version, without these fields.
pub(crate) fn schema_without(pointers: &[&str]) -> Value {
    let definition = serde_json::to_value(crd::definition().unwrap()).unwrap();
    let mut schema = definition
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/status")
        .unwrap()
        .clone();
    for pointer in pointers {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        schema.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).unwrap();
    }
    schema
}

#[test]
fn who_accepted_a_saga_stands_in_its_status() {
    let mut world = World::with(order());
    world.run_to_rest();
    assert_eq!(world.status().accepted_by.as_deref(), Some(RELEASE));
}

#[test]
fn a_saga_with_words_of_another_version_is_left_alone() {
    for (pointer, word) in [
        ("/phase", "Dreaming"),
        ("/steps/1/phase", "Dreaming"),
        ("/steps/0/action/lastOutcome", "Perhaps"),
    ] {
        let mut world = under_way();
        let mut status = world.raw.clone();
        *status.pointer_mut(pointer).unwrap() = json!(word);
        world.forge(status.clone());
        let (sent, writes) = (world.sent().len(), world.writes);
        world.annotate(saga_operator::api::RequestAction::Cancel.annotation(), "enough");
        world.run_for(seconds(10_000));
        world.terminating = true;
        world.delete();
        world.run_to_rest();
        assert_eq!(
            (world.sent().len(), world.writes, &world.raw, world.gone),
            (sent, writes, &status, false),
            "{pointer}"
        );
        world.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
        world.run_to_rest();
        assert!(
            world.gone && world.writes == writes && world.warnings().contains(&"Abandoned"),
            "{:?}",
            world.warnings()
        );
    }
}

#[test]
fn words_of_another_version_are_told_once() {
    let mut world = under_way();
    let mut status = world.raw.clone();
    status["phase"] = json!("Dreaming");
    world.forge(status);
    let (children, executor) = (BTreeMap::new(), world.executor());
    let seen = world.seen(&children, &executor);
    let told = |words_are_news| {
        let versions = Versions { words_are_news, ..seen.versions };
        plan(&world.saga, &saga_operator::model::input::PlanInput { versions, ..seen.clone() })
    };
    assert_eq!((told(true).drafted_effects().len(), told(false).drafted_effects().len()), (1, 0));
    assert!(told(true).status.is_none());
}

#[test]
fn a_spec_with_fields_of_another_version_is_not_accepted() {
    let mut world = World::with(order());
    world.strange = vec!["spec.colour is a field that this version does not know".into()];
    world.run_to_rest();
    assert_eq!(world.condition("Accepted").as_deref(), Some("False/UnknownField"));
    assert!(
        world.message().contains("spec.colour is a field") && world.sent().is_empty(),
        "{}",
        world.message()
    );
    world.strange.clear();
    world.edit(|_| ());
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn an_accepted_saga_with_fields_of_another_version_is_held_until_they_are_known() {
    let mut world = under_way();
    world.strange =
        vec!["spec.steps[1].http.method is BREW, a word that this version does not know".into()];
    world.edit(|_| ());
    let sent = world.sent().len();
    world.run_to_rest();
    assert_eq!(world.condition("Stalled").as_deref(), Some("True/UnknownField"));
    assert_eq!(
        (world.condition("Accepted").as_deref(), world.phase()),
        (Some("True/Accepted"), SagaPhase::Running)
    );
    world.delete();
    world.run_to_rest();
    assert_eq!(
        (world.sent().len(), world.gone),
        (sent, false),
        "what is not known may be about the undo"
    );
    world.strange.clear();
    world.edit(|_| ());
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["b", "a"]));
}

#[test]
fn a_saga_is_not_accepted_while_the_definition_would_lose_what_it_needs() {
    let mut world = World::with(order());
    world.serve(&schema_without(&["/properties/clockStoppedAt"]));
    world.run_for(seconds(100));
    let said = (world.condition("Accepted"), world.writes, world.sent().len());
    assert_eq!(said, (Some("False/DefinitionTooOld".into()), 1, 0));
    assert!(
        world.message().contains("(status.clockStoppedAt): apply the definition of version"),
        "{}",
        world.message()
    );
    world.served = None;
    world.run_to_rest();
    assert_eq!((world.phase(), world.condition("Stalled")), (SagaPhase::Completed, None));
}

#[test]
fn a_saga_that_waits_for_a_definition_can_be_cancelled() {
    let mut world = World::with(order());
    world.serve(&schema_without(&["/properties/timedOutAt"]));
    world.run_for(seconds(1));
    world.ask(saga_operator::api::RequestAction::Cancel, "enough");
    world.run_for(seconds(1));
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Cancelled, 0));
}

#[test]
fn what_only_tells_something_is_not_needed() {
    let mut world = World::with(order());
    world.serve(&schema_without(&["/properties/retries", "/properties/progress"]));
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().progress), (SagaPhase::Completed, None));
    let writes = world.writes;
    world.run_for(seconds(10_000));
    assert_eq!(world.writes, writes);
}

#[test]
fn what_the_definition_takes_away_is_not_written_again_and_again() {
    // The world itself asserts that reconciling does not change something every time.
    for pause in [true, false] {
        let mut world = under_way();
        world.serve(&schema_without(&[
            "/properties/clockStoppedAt",
            "/properties/steps/items/properties/action/properties/disruptions",
        ]));
        if pause {
            world.ask(saga_operator::api::RequestAction::Pause, "no hurry");
        } else {
            world = world.fails("c", 1);
        }
        world.run_for(seconds(100));
        let writes = world.writes;
        world.run_for(seconds(10_000));
        assert_eq!(
            (world.phase(), world.writes),
            (if pause { SagaPhase::Paused } else { SagaPhase::Failed }, writes)
        );
    }
}

#[test]
fn a_fault_that_only_this_version_finds_is_a_warning() {
    let mut world = under_way();
    // The spec has more attempts than are allowed, a host without a dot, and an expression that
    // reads a step that need not be done.
    world.was_accepted_with(|spec| {
        let retry = json!({"maxAttempts": 2_000_000});
        spec.steps[2].retry = serde_json::from_value(retry).unwrap();
        spec.steps[2].http.as_mut().unwrap().url = "http://stock/calls".into();
        spec.steps[0].when = Some("steps.c.phase != 'Failed'".into());
    });
    assert_eq!(world.saga.as_ref().unwrap().doubts.len(), 3);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Stalled"), world.sent().len()),
        (SagaPhase::Completed, None, 3)
    );
    assert_eq!(world.warnings().iter().filter(|reason| **reason == "SpecDoubted").count(), 1);
    let accepted = world
        .status()
        .conditions
        .into_iter()
        .find(|condition| condition.type_ == "Accepted")
        .unwrap();
    assert!(
        accepted.message.contains("would refuse it: spec.steps[0].when: "),
        "{}",
        accepted.message
    );
}

#[test]
fn what_a_person_can_mend_or_nobody_could_run_still_holds() {
    let changes: [(fn(&mut saga_operator::api::SagaSpec), &str); 3] = [
        (|spec| spec.max_parallel = Some(0), "spec.maxParallel: "),
        (|spec| spec.steps[1].http = None, "has exactly one action"),
        (|spec| spec.steps[2].depends_on = Some(vec!["nobody".into()]), "no step named nobody"),
    ];
    for (change, said) in changes {
        let mut world = under_way();
        world.was_accepted_with(change);
        world.run_to_rest();
        assert_eq!(world.condition("Stalled").as_deref(), Some("True/InvalidSpec"));
        assert!(world.message().contains(said), "{}", world.message());
        world.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
        world.delete();
        world.run_to_rest();
        assert!(world.gone);
    }
}

#[test]
fn words_that_another_process_chose_stay_for_a_minute() {
    let mut world = under_way();
    let mut status = world.raw.clone();
    status["message"] = json!("the same, in other words");
    world.restore(status);
    let (children, executor) = (BTreeMap::new(), world.executor());
    let mut children = children;
    for (id, _) in saga_operator::api::status::active_attempts(&world.status()) {
        children.insert(
            id,
            saga_operator::model::observation::ChildState::Active {
                uid: None,
                age: seconds(0),
                detail: String::new(),
                trouble: None,
            },
        );
    }
    let seen = world.seen(&children, &executor);
    let planned = |rewording_waits| {
        let versions = Versions { rewording_waits, ..seen.versions };
        plan(&world.saga, &saga_operator::model::input::PlanInput { versions, ..seen.clone() })
    };
    assert!(planned(false).status.is_some());
    let waits = planned(true);
    assert!(
        waits.status.is_none() && waits.wake.is_some_and(|wake| wake <= world.now + seconds(60)),
        "{waits:?}"
    );
}
