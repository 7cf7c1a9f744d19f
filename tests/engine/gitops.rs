//! Sagas as GitOps tools read them: one golden object for every row of the table of states, written
//! by the engine itself.
//!
//! `tests/gitops` gives these objects to kstatus and to the scripts of Argo CD. `make generate`
//! writes the objects anew; these tests compare them. In the other direction, these tests give the
//! engine what the actions of Argo CD write, in the situation in which a user clicks the action.

use std::{collections::BTreeMap, path::PathBuf};

use saga_operator::api::{RequestAction, RequestResult, UserRequest, names::FINALIZER};
use serde_json::{Value, json};

use crate::{
    gitops_states::{STATES, state},
    script::seconds,
    world::{DAWN, World},
};

/// The variable that makes the tests write the golden files instead of comparing them, whatever its
/// value.
const WRITE: &str = "SAGA_WRITE_GOLDEN";
/// The finalizer that Argo CD sets on a hook, so that the hook is not deleted before Argo CD has
/// seen its end.
const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";
const FIRST_LINE: &str = "# Written by the engine's tests: do not edit, run `make generate`.\n";

/// Returns the object as the API server returns it.
fn object(name: &str, world: &World) -> Value {
    let dawn = jiff::Timestamp::from_second(DAWN).unwrap();
    let hook = world.deleting && !world.finalizer;
    let finalizers: Vec<_> = world
        .finalizer
        .then_some(FINALIZER)
        .into_iter()
        .chain(hook.then_some(HOOK_FINALIZER))
        .collect();
    let mut metadata = json!({
        "name": "order-1042", "namespace": "shop", "uid": "0d1c5a2e",
        "generation": world.generation,
        "resourceVersion": (1000 + world.writes).to_string(), "creationTimestamp": dawn.to_string(),
    });
    for (field, value, there) in [
        ("annotations", json!(world.annotations), !world.annotations.is_empty()),
        ("finalizers", json!(finalizers), !finalizers.is_empty()),
        (
            "deletionTimestamp",
            json!(jiff::Timestamp::from_second(world.now.as_second()).unwrap().to_string()),
            world.deleting,
        ),
        ("deletionGracePeriodSeconds", json!(0), world.deleting),
    ] {
        if there {
            metadata[field] = value;
        }
    }
    // The default status of the definition, for a saga that no operator has seen.
    let status =
        if world.raw.is_null() { json!({"observedGeneration": -1}) } else { world.raw.clone() };
    assert_eq!(name == "not-seen", world.raw.is_null());
    json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": metadata, "spec": world.spec,
        "status": status,
    })
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gitops")
}

/// Compares a golden file with its wanted content, or writes the file.
fn golden(file: &str, wanted: &Value) {
    let (path, text) =
        (folder().join(file), format!("{FIRST_LINE}{}", serde_saphyr::to_string(wanted).unwrap()));
    if std::env::var_os(WRITE).is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{} is stale: run `make generate`, look at the difference, and commit",
        path.display()
    );
}

#[test]
fn the_golden_sagas_are_what_the_engine_writes() {
    for (name, make) in STATES {
        golden(&format!("golden/{name}.yaml"), &object(name, &make()));
    }
    let known = |file: &str| STATES.iter().any(|(name, _)| format!("{name}.yaml") == file);
    for file in std::fs::read_dir(folder().join("golden")).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        assert!(known(&file), "golden/{file} belongs to no state: delete it");
    }
}

/// Returns what a user could request of this saga, without a token.
fn wishes(world: &World, action: RequestAction) -> Vec<String> {
    if action.takes_reason() {
        return vec!["a reason".into()];
    }
    if action == RequestAction::Settle {
        let words = |step: &saga_operator::api::Step| {
            ["Failed", "Succeeded"].map(|word| format!("{}={word}", step.name))
        };
        return world.spec.steps.iter().flat_map(words).collect();
    }
    let all = (action == RequestAction::Retry).then(|| "*".to_owned());
    all.into_iter().chain(world.spec.steps.iter().map(|step| step.name.clone())).collect()
}

/// Adds a token to the value of a request.
fn with_token(action: RequestAction, wish: &str) -> String {
    if action.takes_reason() { format!("@t1: {wish}") } else { format!("{wish}@t1") }
}

#[test]
fn what_the_engine_takes_in_each_state_is_written_down_for_the_buttons() {
    let mut taken = BTreeMap::new();
    for (name, make) in STATES {
        let mut of_state = BTreeMap::new();
        for action in RequestAction::ALL {
            let accepted = |wish: &String| {
                make().ask_together(&[(action, &with_token(action, wish))]) == [(action, true)]
            };
            let wishes: Vec<_> = wishes(&make(), action).into_iter().filter(accepted).collect();
            of_state.insert(action.as_str(), wishes);
        }
        taken.insert(name, of_state);
    }
    golden("accepted.yaml", &json!(taken));
}

/// Returns the table of what the actions of Argo CD write. The Go tests compare the table with the
/// scripts.
fn clicks() -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("clicks.yaml")).unwrap();
    serde_saphyr::from_str(&text.replace("TOKEN", "20260101T002000Z.1003")).unwrap()
}

#[test]
fn what_the_buttons_of_argo_cd_write_is_understood_and_done() {
    let mut clicked = Vec::new();
    for click in clicks().iter().filter(|click| click.get("writes").is_some()) {
        let text =
            |field: &str| click[field].as_str().unwrap_or_else(|| panic!("{field} of {click}"));
        let action = RequestAction::ALL
            .into_iter()
            .find(|action| action.as_str() == text("action"))
            .unwrap();
        let asked = UserRequest { action, value: text("writes").into(), reapplied: false };
        assert!(asked.body().is_ok() && asked.token().is_some(), "{click}: {:?}", asked.body());
        let mut world = state(text("state"));
        let record = world.ask(action, text("writes"));
        assert_eq!(record.result, RequestResult::Accepted, "{click}: {}", record.message);
        // The annotation stays, and the request is not carried out again.
        let requests = world.status().requests.len();
        world.run_for(seconds(1));
        assert_eq!(
            (world.status().requests.len(), world.annotations.get(action.annotation())),
            (requests, Some(&asked.value)),
            "{click}"
        );
        clicked.push(action);
    }
    assert!(
        RequestAction::ALL.iter().all(|action| clicked.contains(action)),
        "every action is clicked: {clicked:?}"
    );
}
