//! What this version finds wrong with a saga that another version accepted: it is told once, in the
//! place of what another version found.

use saga_operator::api::{RELEASE, SagaPhase};
use serde_json::json;

use crate::{
    script::seconds,
    versions::{schema_without, under_way},
    world::World,
};

/// Creates a saga under way of which this version finds one thing wrong.
fn doubted() -> World {
    let mut world = under_way();
    world.was_accepted_with(|spec| {
        spec.steps[0].when = Some("steps.c.phase != 'Failed'".into());
    });
    world
}

/// Returns the message of the condition `Accepted`.
fn accepted(world: &World) -> String {
    let mut conditions = world.status().conditions.into_iter();
    conditions.find(|condition| condition.type_ == "Accepted").unwrap().message
}

fn doubted_times(world: &World) -> usize {
    world.warnings().iter().filter(|reason| **reason == "SpecDoubted").count()
}

#[test]
fn the_faults_that_this_version_finds_take_the_place_of_those_that_another_one_found() {
    let mut world = doubted();
    let before = accepted(&world);
    world.run_for(seconds(1));
    let told = accepted(&world);
    assert_eq!(
        json!(world.status().doubted),
        json!({"by": RELEASE, "acceptedMessage": before}),
        "the message before is a field"
    );
    let faults = format!("; goes on as it was accepted, although {RELEASE} would refuse it: ");
    assert!(told.starts_with(&format!("{before}{faults}spec.steps[0].when: ")), "{told}");
    // Another version finds something else.
    let mut status = world.raw.clone();
    status["doubted"]["by"] = json!("0.0.1");
    status["conditions"][0]["message"] =
        json!(format!("{before}; goes on as it was accepted, although 0.0.1 would refuse it: x"));
    assert_eq!(status["conditions"][0]["type"], "Accepted");
    world.restore(status);
    world.run_for(seconds(1));
    assert_eq!((accepted(&world), doubted_times(&world)), (told.clone(), 2));
    // The version before had no such field: its faults stay, and are followed by those of this one.
    let mut status = world.raw.clone();
    status.as_object_mut().unwrap().remove("doubted");
    world.restore(status);
    world.run_for(seconds(1));
    let faults = told.strip_prefix(&before).unwrap();
    assert_eq!((accepted(&world), doubted_times(&world)), (format!("{told}{faults}"), 3));
    let writes = world.writes;
    world.run_for(seconds(1));
    assert_eq!(world.writes, writes, "they follow once");
    world.run_to_rest();
    assert_eq!((accepted(&world), doubted_times(&world)), (format!("{told}{faults}"), 3));
}

#[test]
fn faults_are_not_told_while_the_definition_does_not_store_that_they_were() {
    let mut world = doubted();
    let before = accepted(&world);
    world.serve(&schema_without(&["/properties/doubted"]));
    world.run_to_rest();
    assert_eq!(
        (world.phase(), accepted(&world), doubted_times(&world)),
        (SagaPhase::Completed, before, 0)
    );
}
