//! What an expression may not read, and what the answer of a service may not decide.

use saga_operator::api::StepPhase;
use serde_json::{Value, json};

use crate::{
    data::{http, order, world},
    script::answers,
};

#[test]
fn what_an_expression_may_not_read_is_refused_with_its_place() {
    let faults = |change: &dyn Fn(&mut Value)| {
        let mut spec = order();
        change(&mut spec);
        world(spec)
            .saga
            .map(|_| ())
            .unwrap_err()
            .into_iter()
            .map(|fault| fault.to_string())
            .collect::<Vec<_>>()
    };
    let cases: Vec<(&dyn Fn(&mut Value), &str)> = vec![
        (
            &|spec| spec["steps"][2]["pod"]["image"] = json!("${steps.charge.outputs.image}"),
            "spec.steps[2].pod.image: ${steps.charge.outputs.image} reads steps, which is not \
             known here",
        ),
        (
            &|spec| spec["steps"][2]["pod"]["command"] = json!(["${steps.charge.outputs.id}"]),
            "spec.steps[2].pod.command[0]: ${steps.charge.outputs.id} reads steps, which is not \
             known here",
        ),
        (
            &|spec| spec["steps"][1]["http"]["body"] = json!("${response.body}"),
            "spec.steps[1].http.body: ${response.body} reads response",
        ),
        (
            &|spec| spec["steps"][1]["http"]["body"] = json!("${outputs.id}"),
            "spec.steps[1].http.body: ${outputs.id} reads outputs",
        ),
        (
            &|spec| spec["steps"][1]["http"]["body"] = json!("${steps.thank.outputs.id}"),
            "spec.steps[1].http.body: ${steps.thank.outputs.id} reads step thank, which need not \
             be done by then",
        ),
        (
            &|spec| spec["steps"][1]["http"]["body"] = json!("${steps.nobody.outputs.id}"),
            "spec.steps[1].http.body: ${steps.nobody.outputs.id} reads step nobody, and the saga \
             has none",
        ),
        (
            &|spec| spec["steps"][1]["http"]["url"] = json!("http://${params.order}/x"),
            "spec.steps[1].http.url: must begin with http://",
        ),
        (
            &|spec| spec["steps"][3]["when"] = json!("params.amuont > 10.0"),
            "spec.steps[3].when: ${params.amuont > 10.0}: there is no field amuont",
        ),
        (
            &|spec| spec["steps"][3]["when"] = json!("params.order"),
            "spec.steps[3].when: ${params.order}: is a string and not true or false",
        ),
        (
            &|spec| spec["steps"][3]["when"] = json!("${params.amount > 10.0}"),
            "spec.steps[3].when: is an expression as a whole: write it without ${ and }",
        ),
        (
            &|spec| spec["steps"][0]["http"]["expect"] = json!("response.status = 200"),
            "spec.steps[0].http.expect: ${response.status = 200}: is no CEL expression",
        ),
        (
            &|spec| spec["steps"][2]["outputs"] = json!({"a": 1}),
            "spec.steps[2].outputs: are taken from the answer to a request",
        ),
        (
            &|spec| spec["outputs"] = json!({"a": "${steps.other.phase}"}),
            "spec.outputs.a: ${steps.other.phase} reads step other",
        ),
        (&|spec| spec["params"]["big"] = json!("x".repeat(33_000)), "spec.params: has 33"),
        (
            &|spec| spec["steps"][0]["http"]["body"] = json!("${params.ordr}"),
            "spec.steps[0].http.body: ${params.ordr}: there is no field ordr",
        ),
    ];
    for (change, expected) in cases {
        let found = faults(change);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}\n{found:?}");
    }
}

#[test]
fn no_other_side_chooses_an_image_by_handing_on_a_whole_object() {
    let applied = |spec: &str, answer: Value| {
        let manifest = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": spec,
        });
        let mut world = world(json!({
            "params": {"spec": {"template": {"spec": {"containers": [{"image": "own:1"}]}}}},
            "steps": [
                {
                    "name": "a", "http": http("a", json!({})),
                    "outputs": {"spec": "${response.body.spec}"},
                },
                {"name": "b", "dependsOn": ["a"], "apply": {"manifest": manifest}},
            ],
        }))
        .on("a", vec![answers(200, &json!({"spec": answer}))]);
        world.run_to_rest();
        (world.step("b").phase, world.step("b").message.unwrap_or_default())
    };
    let image = json!({"template": {"spec": {"containers": [{"name": "x", "image": "evil:1"}]}}});
    let (phase, message) = applied("${steps.a.outputs.spec}", image.clone());
    assert_eq!(phase, StepPhase::Failed, "{message}");
    assert!(
        message.contains("gives an object with image, which only params and saga may choose"),
        "{message}"
    );
    assert_ne!(applied("${steps.a.outputs.spec}", json!({"parallelism": 2})).0, StepPhase::Failed);
    assert_ne!(applied("${params.spec}", image).0, StepPhase::Failed);

    let template = json!({
        "spec": {
            "containers": [{"name": "step", "image": "own:1"}],
            "initContainers": "${steps.a.outputs.spec}",
        },
    });
    let mut world = world(json!({
        "steps": [
            {
                "name": "a", "http": http("a", json!({})),
                "outputs": {"spec": "${response.body.spec}"},
            },
            {"name": "b", "dependsOn": ["a"], "pod": {"template": template}},
        ],
    }))
    .on("a", vec![answers(200, &json!({"spec": [{"name": "first", "image": "evil:1"}]}))]);
    world.run_to_rest();
    let message = world
        .status()
        .steps
        .get(1)
        .and_then(|step| step.message.clone())
        .unwrap_or_else(|| world.message());
    assert!(message.contains("gives an object with image"), "{message}");
}

#[test]
fn what_another_side_answered_reaches_nothing_that_decides_below_a_parent_key_either() {
    let refused = |manifest: Value| {
        let spec = json!({"steps": [
            {"name": "a", "http": http("a", json!({})), "outputs": {"x": "${response.body.x}"}},
            {"name": "b", "dependsOn": ["a"], "apply": {"manifest": manifest}},
        ]});
        world(spec)
            .saga
            .map(|_| ())
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|fault| fault.path)
            .collect::<Vec<_>>()
    };
    let object = |version: &str, kind: &str, more: Value| {
        let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    let x = "${steps.a.outputs.x}";
    let whole = "${{'reference': steps.a.outputs.x}}";
    let at = "spec.steps[1].apply.manifest";
    for (version, kind, more, place) in [
        (
            "apps/v1",
            "Deployment",
            json!({"spec": {"template": {"spec": {"containers": [{"image": x}]}}}}),
            "spec.template.spec.containers[0].image",
        ),
        (
            "source.example.com/v1",
            "Release",
            json!({"spec": {"values": {"image": {"tag": x}}}}),
            "spec.values.image.tag",
        ),
        ("core.example.com/v1", "Disk", json!({"spec": {"image": {"a": whole}}}), "spec.image.a"),
        (
            "core.example.com/v1",
            "Sync",
            json!({"spec": {"images": [{"newTag": x}]}}),
            "spec.images[0].newTag",
        ),
        (
            "core.example.com/v1",
            "Sync",
            json!({"spec": {"targetNamespace": x}}),
            "spec.targetNamespace",
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            json!({"subjects": [{"kind": "ServiceAccount", "name": x}]}),
            "subjects[0].name",
        ),
        (
            "saga.dev/v1alpha1",
            "Saga",
            json!({"spec": {"steps": [{"name": "c", "http": {"url": x}}]}}),
            "spec.steps[0].http.url",
        ),
        (
            "saga.dev/v1alpha1",
            "Saga",
            json!({"spec": {"params": {"image": x}, "steps": x}}),
            "spec.steps",
        ),
    ] {
        assert_eq!(refused(object(version, kind, more)), [format!("{at}.{place}")]);
    }
    for (version, kind, more) in [
        (
            "v1",
            "ConfigMap",
            json!({"data": {"image": x, "namespace-quota": x}, "binaryData": {"kind": x}}),
        ),
        ("v1", "Secret", json!({"stringData": {"namespace": x}})),
        ("apps/v1", "Deployment", json!({"spec": {"replicas": x}})),
        ("saga.dev/v1alpha1", "Saga", json!({"spec": {"params": {"image": x, "order": x}}})),
    ] {
        assert_eq!(refused(object(version, kind, more)), [""; 0]);
    }
}

#[test]
fn a_whole_object_that_another_side_handed_on_may_be_data_and_name_no_accounts() {
    let applied = |field: &str, kind: (&str, &str), answer: Value| {
        let mut manifest = json!({"apiVersion": kind.0, "kind": kind.1, "metadata": {"name": "x"}});
        manifest[field] = json!("${steps.a.outputs.x}");
        let mut world = world(json!({"steps": [
            {"name": "a", "http": http("a", json!({})), "outputs": {"x": "${response.body.x}"}},
            {"name": "b", "dependsOn": ["a"], "apply": {"manifest": manifest}},
        ]}))
        .on("a", vec![answers(200, &json!({"x": answer}))]);
        world.run_to_rest();
        (world.step("b").phase, world.step("b").message.unwrap_or_default())
    };
    let named = json!({"image": "a", "namespace": "b"});
    assert_ne!(applied("data", ("v1", "ConfigMap"), named.clone()).0, StepPhase::Failed);
    for (field, kind, answer) in [
        ("data", ("example.com/v1", "ConfigMap"), named),
        (
            "spec",
            ("example.com/v1", "Bundle"),
            json!({"manifest": {"subjects": [{"name": "admin"}]}}),
        ),
        (
            "spec",
            ("example.com/v1", "Bundle"),
            json!({"sync": [{"targetNamespace": "kube-system"}]}),
        ),
        ("spec", ("example.com/v1", "Bundle"), json!({"pod": {"nodeName": "control-plane"}})),
    ] {
        let (phase, message) = applied(field, kind, answer);
        assert_eq!(phase, StepPhase::Failed, "{message}");
        assert!(message.contains("which only params and saga may choose"), "{message}");
    }
}
