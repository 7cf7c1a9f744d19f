//! Tests of the files under `examples/`. Readers copy these files, so they must be correct.

mod rights;

use std::{fs, path::Path};

use saga_operator::{
    api::{Compensation, HttpAction, PodAction, Saga, Step},
    model::saga::SagaName,
    validate::saga::validate,
};
use serde_json::{Value, json};

use crate::shop::SERVICES;

/// The address that a user replaces by the address of the shop before applying a sample.
const SHOP: &str = "http://shop.example:8090";

/// Returns every document under `examples/`, with the name of its file.
fn documents() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut documents = vec![];
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        documents.extend(
            serde_saphyr::from_multiple(&text)
                .unwrap()
                .into_iter()
                .map(|document| (name.clone(), document)),
        );
    }
    documents.sort_by(|(left, _), (right, _)| left.cmp(right));
    documents
}

fn sagas() -> Vec<(String, Saga)> {
    let sagas = documents().into_iter().filter(|(_, document)| document["kind"] == "Saga");
    sagas
        .map(|(file, document)| {
            (
                file.clone(),
                serde_json::from_value(document).unwrap_or_else(|error| panic!("{file}: {error}")),
            )
        })
        .collect()
}

/// Returns every saga, and the child sagas in it.
fn sagas_and_children() -> Vec<(String, Saga)> {
    let mut all = sagas();
    let mut next = 0;
    while let Some((file, saga)) = all.get(next).cloned() {
        next += 1;
        for step in saga.spec.steps {
            let Some(action) = step.saga else { continue };
            let name = format!("{}-{}", saga.metadata.name.as_deref().unwrap(), step.name);
            let spec = serde_json::from_value(action.spec)
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            all.push((file.clone(), Saga::new(&name, spec)));
        }
    }
    all
}

/// One action or compensation.
type Operation<'a> = (Option<&'a PodAction>, Option<&'a HttpAction>);

fn action(step: &Step) -> Operation<'_> {
    (step.pod.as_ref(), step.http.as_ref())
}

/// Returns whether a step acts. A step that only waits or asks leaves nothing to be undone.
fn acts(step: &Step) -> bool {
    step.approval.is_none()
        && step.wait.is_none()
        && step.http.as_ref().is_none_or(|http| !http.method.only_asks())
}

/// Returns whether a step acts on the shop, and not on an object.
fn calls(step: &Step) -> bool {
    acts(step) && step.apply.is_none() && step.delete.is_none() && step.saga.is_none()
}

fn compensation(compensation: &Compensation) -> Operation<'_> {
    (compensation.pod.as_ref(), compensation.http.as_ref())
}

/// Returns the paths of the shop that an operation calls.
fn paths((pod, http): Operation<'_>) -> Vec<String> {
    let url = http.map(|http| http.url.clone());
    let scripts = pod.and_then(|pod| pod.args.clone()).into_iter().flatten();
    let words: Vec<String> = scripts
        .flat_map(|script| script.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    url.into_iter()
        .chain(words)
        .filter_map(|word| word.strip_prefix(SHOP).map(str::to_owned))
        .collect()
}

/// Returns the paths of the keys that are in the first value and not in the second.
fn lost(before: &Value, after: Option<&Value>, at: &str) -> Vec<String> {
    match (before, after) {
        (_, None) => vec![at.into()],
        (Value::Object(fields), Some(after)) => fields
            .iter()
            .flat_map(|(name, field)| lost(field, after.get(name), &format!("{at}.{name}")))
            .collect(),
        (Value::Array(items), Some(after)) => items
            .iter()
            .enumerate()
            .flat_map(|(index, item)| lost(item, after.get(index), &format!("{at}[{index}]")))
            .collect(),
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), Some(_)) => vec![],
    }
}

#[test]
fn the_samples_are_all_there() {
    let names: Vec<(String, String)> =
        sagas().into_iter().map(|(file, saga)| (file, saga.metadata.name.unwrap())).collect();
    let expected = [
        ("blue-green-failing.yaml", "cart-release-5"),
        ("blue-green.yaml", "web-release-2"),
        ("database-release-failing.yaml", "database-release-8"),
        ("database-release.yaml", "database-release-7"),
        ("order-checkout-approval.yaml", "order-1047"),
        ("order-checkout-declined.yaml", "order-1050"),
        ("order-checkout-failing.yaml", "order-1044"),
        ("order-checkout-held.yaml", "order-1045"),
        ("order-checkout-retrying.yaml", "order-1043"),
        ("order-checkout.yaml", "order-1042"),
        ("order-http.yaml", "order-1046"),
        ("tenant-onboarding-failing.yaml", "tenant-globex"),
        ("tenant-onboarding.yaml", "tenant-acme"),
    ];
    assert_eq!(names, expected.map(|(file, saga)| (file.into(), saga.into())));
}

#[test]
fn the_demonstration_runs_every_sample() {
    let script =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/demo/run.sh"))
            .unwrap();
    for (file, saga) in sagas() {
        let line = format!(" {file} {} ", saga.metadata.name.unwrap());
        let runs = |how: &str| script.contains(&format!("\n{how}{line}"));
        assert!(runs("sample") || runs("release"), "tests/demo/run.sh has no line of {line:?}");
    }
}

#[test]
fn no_key_of_a_sample_is_unknown_to_the_resource() {
    for (file, document) in
        documents().into_iter().filter(|(_, document)| document["kind"] == "Saga")
    {
        let saga: Saga = serde_json::from_value(document.clone())
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let back = serde_json::to_value(&saga).unwrap();
        assert_eq!(lost(&document, Some(&back), &file), Vec::<String>::new());
    }
}

#[test]
fn the_check_for_unknown_keys_finds_them() {
    let before = json!({"spec": {"steps": [{"name": "a", "retries": 3}]}});
    let after = json!({"spec": {"steps": [{"name": "a"}]}, "status": {}});
    assert_eq!(lost(&before, Some(&after), "file"), ["file.spec.steps[0].retries"]);
}

#[test]
fn every_step_calls_the_shop_and_its_compensation_takes_that_back() {
    for (file, saga) in sagas_and_children() {
        for step in saga.spec.steps.iter().filter(|step| calls(step)) {
            let at = format!("{file}, step {}", step.name);
            let done = paths(action(step));
            let [done] = done.as_slice() else { panic!("{at} calls {done:?}") };
            let service = SERVICES
                .iter()
                .find(|service| service.act == done)
                .unwrap_or_else(|| panic!("{at}: no such path: {done}"));
            if let Some(undoing) = &step.compensation {
                assert_eq!(paths(compensation(undoing)), [service.undo], "{at}");
            }
        }
    }
}

#[test]
fn what_can_be_undone_is_undone() {
    for (file, saga) in sagas_and_children() {
        let before_pivot = saga.spec.steps.iter().take_while(|step| step.pivot != Some(true));
        for step in before_pivot.filter(|step| acts(step)) {
            // A child saga undoes its own steps.
            assert!(
                step.compensation.is_some() || step.saga.is_some(),
                "{file}, step {} has no compensation",
                step.name
            );
        }
    }
}

#[test]
fn pods_pass_their_key_on_and_no_value_becomes_a_part_of_a_script() {
    for (file, saga) in sagas_and_children() {
        let compensations =
            saga.spec.steps.iter().filter_map(|step| step.compensation.as_ref()).map(compensation);
        for (pod, _) in saga.spec.steps.iter().map(action).chain(compensations) {
            let Some(pod) = pod else { continue };
            assert_eq!(pod.image.as_deref(), Some("saga.dev/examples/busybox:1"), "{file}");
            let script = pod.args.clone().unwrap().concat();
            assert!(
                script.contains(r#"--header "Idempotency-Key: $SAGA_IDEMPOTENCY_KEY""#),
                "{file}: {script}"
            );
            assert!(
                script.contains(r#"--header "Saga-Attempt: $SAGA_ATTEMPT""#),
                "{file}: {script}"
            );
            // An expression would be inserted into the script, and the kubelet replaces `$(`.
            assert!(
                !script.replace("$${", "").contains("${") && !script.contains("$("),
                "{file}: {script}"
            );
        }
        let who = SagaName { name: "sample".into(), namespace: "shop".into(), uid: "1".into() };
        validate(&who, &saga.spec).unwrap_or_else(|faults| panic!("{file}: {faults:?}"));
    }
}
