//! What another version wrote into a status stays in the status.

use proptest::prelude::*;
use saga_operator::api::SagaPhase;
use serde_json::{Map, Value, json};

use crate::{
    saga::saga,
    script::{seconds, succeeds, unknown},
    versions::under_way,
    world::World,
};

#[test]
fn fields_of_another_version_stay_to_the_end() {
    let mut world = under_way();
    let mut status = world.raw.clone();
    status["note"] = json!({"by": ["next"]});
    status["steps"][0]["note"] = json!("a");
    status["steps"][2]["note"] = json!("c");
    status["steps"][0]["action"]["attempts"][0]["note"] = json!(1);
    status["steps"][1]["action"]["note"] = json!(2);
    status["steps"][1]["action"]["active"]["note"] = json!(3);
    status["conditions"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "Audited", "status": "True", "reason": "Yes", "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}));
    world.restore(status.clone());
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
    let raw = &world.raw;
    assert_eq!(
        (&raw["note"], &raw["steps"][0]["note"], &raw["steps"][2]["note"]),
        (&json!({"by": ["next"]}), &json!("a"), &json!("c"))
    );
    assert_eq!(
        (&raw["steps"][0]["action"]["attempts"][0]["note"], &raw["steps"][1]["action"]["note"]),
        (&json!(1), &json!(2))
    );
    let kinds: Vec<_> = raw["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| condition["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["Accepted", "Ready", "Audited"]);
    let writes = world.writes;
    world.run_for(seconds(10_000));
    assert_eq!(world.writes, writes, "what another version wrote is no difference");
}

/// Adds a field that no version knows to each object of a status that may hold one and for which
/// `places` yields true. Returns how many fields were added.
fn with_strangers(value: &mut Value, places: &mut impl Iterator<Item = bool>, path: &str) -> usize {
    const FREE: [&str; 2] = ["outputs", "conditions"];
    match value {
        Value::Object(fields) => {
            let mut added = 0;
            for (name, value) in
                fields.iter_mut().filter(|(name, _)| !FREE.contains(&name.as_str()))
            {
                added += with_strangers(value, places, &format!("{path}.{name}"));
            }
            if places.next() == Some(true) {
                fields.insert("stranger".into(), json!({"of": path}));
                added += 1;
            }
            added
        }
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .map(|(place, item)| with_strangers(item, places, &format!("{path}[{place}]")))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Collects the unknown fields of a status by their paths. A path names steps, attempts and
/// requests by their names and numbers, not by their positions.
fn strangers(value: &Value, path: &str, found: &mut Map<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                if name == "stranger" {
                    drop(found.insert(path, value.clone()));
                } else {
                    strangers(value, &path, found);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let key = ["name", "attempt", "number", "type"]
                    .iter()
                    .find_map(|key| item.get(key))
                    .unwrap_or(&Value::Null);
                strangers(item, &format!("{path}[{key}]"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    /// Wherever and whenever another version adds a field, all later writes keep the field as long
    /// as the object around it exists.
    #[test]
    fn strangers_anywhere_survive_every_write(
        places in proptest::collection::vec(any::<bool>(), 1..40),
        moment in 0..9_u64,
        fails in any::<bool>(),
    ) {
        let retried = saga()
            .http("a")
            .undo()
            .then_http("b")
            .undo()
            .retry(crate::saga::attempts(3))
            .then_http("c")
            .compensating();
        let world = World::with(retried)
            .on("a", vec![succeeds().takes(seconds(2))])
            .on("b", vec![unknown().takes(seconds(2)), succeeds()]);
        let mut world = if fails { world.fails("c", 1) } else { world };
        world.run_for(seconds(moment));
        let mut status = world.raw.clone();
        prop_assume!(status.is_object());
        let added = with_strangers(&mut status, &mut places.iter().copied(), "status");
        world.restore(status);
        let mut before = Map::new();
        strangers(&world.raw, "status", &mut before);
        prop_assert_eq!(before.len(), added);
        world.run_to_rest();
        let mut after = Map::new();
        strangers(&world.raw, "status", &mut after);
        let steps_and_top = before
            .iter()
            .filter(|(path, _)| !path.contains("active") && !path.contains("paused"));
        for (path, value) in steps_and_top {
            prop_assert_eq!(after.get(path), Some(value), "{}", path);
        }
        let writes = world.writes;
        world.run_for(seconds(10_000));
        prop_assert_eq!(world.writes, writes);
    }
}
