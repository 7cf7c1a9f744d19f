//! What flows between steps: params, outputs, `when`, `expect`, and what a compensation knows of
//! its action.

use saga_operator::{
    api::{
        Direction::{self, Action, Compensation},
        Outcome, RequestAction, SagaPhase, SagaSpec, StepPhase,
    },
    model::saga::Work,
};
use serde_json::{Value, json};

use crate::{
    other_side::Sent,
    saga::Draft,
    script::{Act, answers, hands_on, says_no, seconds, succeeds, times, unknown_but_done},
    world::World,
};

fn world(spec: Value) -> World {
    let spec: SagaSpec = serde_json::from_value(spec).unwrap();
    World::with(Draft(spec))
}

fn http(path: &str, body: Value) -> Value {
    json!({"method": "POST", "url": format!("http://shop/{path}"), "body": body})
}

/// Reserve, charge what was reserved, ship by a pod, thank with what the pod handed on.
fn order() -> Value {
    json!({
        "params": {"order": "1042", "amount": 49.9},
        "onFailure": "Compensate",
        "outputs": {"tracking": "${steps.ship.outputs.tracking}", "paid": "${params.amount}"},
        "steps": [
            {
                "name": "reserve-stock",
                "http": http("reserve", json!({"order": "${params.order}"})),
                "outputs": {"id": "${response.body.id}", "left": "${response.body.left}"},
                "compensation": {
                    "http": http(
                        "release",
                        json!({
                            "id": "${has(outputs.id) ? outputs.id : ''}",
                            "key": "${action.key}", "how": "${action.outcome}",
                        }),
                    ),
                },
            },
            {
                "name": "charge", "dependsOn": ["reserve-stock"],
                "http": http(
                    "charge/${steps['reserve-stock'].outputs.id}",
                    json!({"amount": "${params.amount}"}),
                ),
            },
            {
                "name": "ship", "dependsOn": ["charge"],
                "pod": {
                    "image": "ship:1", "args": ["--left", "${steps['reserve-stock'].outputs.left}"],
                },
            },
            {
                "name": "thank", "dependsOn": ["ship"], "when": "params.amount > 10.0",
                "pod": {"image": "mail:1", "args": ["${steps.ship.outputs.tracking}"]},
            },
        ],
    })
}

fn reserved() -> Act {
    answers(201, &json!({"id": "r/7", "left": 3}))
}

fn sent(world: &World, step: &str, direction: Direction) -> Vec<Sent> {
    let of = |sent: &&Sent| sent.attempt.step == step && sent.attempt.direction == direction;
    world.other_side.sent.iter().filter(of).cloned().collect()
}

fn body(world: &World, step: &str, direction: Direction) -> Value {
    match &sent(world, step, direction).last().expect("it was sent").work {
        Work::Http(action) => json!({"url": action.url, "body": action.body}),
        Work::Pod(action) => json!(action.args),
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_flow_from_params_and_answers_to_later_steps_and_out_of_the_saga() {
    let mut world = world(order())
        .on("reserve-stock", vec![reserved()])
        .on("ship", vec![hands_on(json!({"tracking": "T-1"}))]);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed, "{}", world.message());
    assert_eq!(
        body(&world, "reserve-stock", Action),
        json!({"url": "http://shop/reserve", "body": {"order": "1042"}})
    );
    assert_eq!(
        body(&world, "charge", Action),
        json!({"url": "http://shop/charge/r%2F7", "body": {"amount": 49.9}})
    );
    assert_eq!(body(&world, "ship", Action), json!(["--left", "3"]));
    assert_eq!(body(&world, "thank", Action), json!(["T-1"]));
    assert_eq!(
        world.step("reserve-stock").outputs,
        json!({"id": "r/7", "left": 3}).as_object().cloned()
    );
    assert_eq!(
        world.status().outputs,
        json!({"tracking": "T-1", "paid": 49.9}).as_object().cloned()
    );
}

#[test]
fn a_step_that_is_not_wanted_is_skipped_and_counts_as_done() {
    let mut spec = order();
    spec["params"]["amount"] = json!(5);
    spec["steps"][3]["when"] = json!("params.amount > 10");
    let mut world = world(spec)
        .on("reserve-stock", vec![reserved()])
        .on("ship", vec![hands_on(json!({"tracking": "T-1"}))]);
    world.run_to_rest();
    let thank = world.step("thank");
    assert_eq!(
        (world.phase(), thank.phase, thank.unwanted),
        (SagaPhase::Completed, StepPhase::Skipped, true)
    );
    assert_eq!(thank.message.as_deref(), Some("not wanted: its when is false"));
    assert_eq!(
        (sent(&world, "thank", Action).len(), world.status().progress.as_deref()),
        (0, Some("4/4"))
    );
}

#[test]
fn a_pivot_that_is_not_wanted_is_no_point_of_no_return() {
    let mut spec = order();
    spec["steps"][1]["pivot"] = json!(true);
    spec["steps"][1]["when"] = json!("false");
    let mut world = world(spec).on("reserve-stock", vec![reserved()]).on("ship", vec![says_no()]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("reserve-stock").phase),
        (SagaPhase::Compensated, StepPhase::Compensated)
    );
}

#[test]
fn a_compensation_knows_key_and_outcome_of_its_action() {
    let undone = |acts: Vec<Act>| {
        let mut spec = order();
        spec["steps"][0]["retry"] = json!({"maxAttempts": 2});
        let mut world =
            world(spec).on("reserve-stock", acts).on("charge", vec![says_no().finally()]);
        world.run_to_rest();
        assert_eq!(world.phase(), SagaPhase::Compensated, "{}", world.message());
        body(&world, "reserve-stock", Compensation)["body"].clone()
    };
    let key = |k: u32| format!("0d1c5a2e/reserve-stock/action/{k}");
    assert_eq!(undone(vec![reserved()]), json!({"id": "r/7", "key": key(0), "how": "Succeeded"}));
    assert_eq!(
        undone(vec![says_no(), reserved()]),
        json!({"id": "r/7", "key": key(1), "how": "Succeeded"})
    );
    assert_eq!(
        undone(times(2, &unknown_but_done())),
        json!({"id": "", "key": key(0), "how": "Unknown"})
    );
    assert_eq!(
        undone(vec![says_no(), unknown_but_done()]),
        json!({"id": "", "key": key(1), "how": "Unknown"})
    );
}

#[test]
fn an_expression_that_fails_fails_the_step_without_an_attempt_and_a_retry_evaluates_it_again() {
    let mut spec = order();
    spec["onFailure"] = json!("Hold");
    // The pod hands nothing on.
    let mut world = world(spec).on("reserve-stock", vec![reserved()]).on("ship", vec![succeeds()]);
    world.run_to_rest();
    let thank = world.step("thank");
    assert_eq!((world.phase(), thank.phase), (SagaPhase::Failed, StepPhase::Failed));
    assert_eq!(
        thank.message.as_deref(),
        Some(
            "spec.steps[3].pod.args[0]: ${steps.ship.outputs.tracking}: there is no field tracking"
        )
    );
    assert_eq!((sent(&world, "thank", Action).len(), thank.action), (0, None));
    world.demand(RequestAction::Retry, "thank");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("thank").phase),
        (SagaPhase::Failed, StepPhase::Failed),
        "it still cannot be evaluated"
    );
    assert_eq!(sent(&world, "thank", Action).len(), 0);
    world.demand(RequestAction::Skip, "thank");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn where_an_expression_of_one_step_fails_the_others_do_not_begin_beside_it() {
    let mut world = world(json!({
        "maxParallel": 3,
        "steps": [
            {"name": "a", "pod": {"image": "a:1"}},
            {"name": "b", "dependsOn": ["a"], "pod": {"image": "b:1"}},
            {
                "name": "c", "dependsOn": ["a"],
                "pod": {"image": "c:1", "args": ["${steps.a.outputs.missing}"]},
            },
        ],
    }));
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("b").phase, world.step("c").phase),
        (SagaPhase::Failed, StepPhase::Pending, StepPhase::Failed)
    );
}

#[test]
fn a_compensation_whose_expression_fails_waits_for_a_person() {
    let mut spec = order();
    spec["steps"][0]["compensation"]["http"]["body"] = json!("${outputs.nothing}");
    let mut world =
        world(spec).on("reserve-stock", vec![reserved()]).on("charge", vec![says_no().finally()]);
    world.run_to_rest();
    let step = world.step("reserve-stock");
    assert_eq!(
        (world.phase(), step.phase),
        (SagaPhase::CompensationFailed, StepPhase::CompensationFailed)
    );
    assert_eq!(
        step.message.as_deref(),
        Some("spec.steps[0].compensation.http.body: ${outputs.nothing}: there is no field nothing")
    );
    assert_eq!(sent(&world, "reserve-stock", Compensation).len(), 0);
    world.demand(RequestAction::Skip, "reserve-stock");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.status().still_in_effect),
        (SagaPhase::Compensated, Some(vec!["reserve-stock".into()]))
    );
}

#[test]
fn what_is_expected_of_an_answer_decides_whether_it_is_a_success() {
    let judged = |expect: &str, act: Act| {
        let mut step = json!({
            "name": "a", "http": http("a", json!({})),
            "outputs": {"id": "${has(response.body.id) ? response.body.id : 0}"},
        });
        step["http"]["expect"] = json!(expect);
        let mut world = world(json!({"steps": [step]})).on("a", vec![act]);
        world.run_to_rest();
        let step = world.step("a");
        let action = step.action.unwrap();
        (action.last_outcome.unwrap(), action.failures, step.message.unwrap_or_default())
    };
    let done = json!({"state": "done", "id": 7});
    let fine = "response.status == 200 && response.body.state == 'done'";
    assert_eq!(judged(fine, answers(200, &done)), (Outcome::Succeeded, 0, String::new()));
    let (outcome, failures, message) = judged(fine, answers(200, &json!({"state": "open"})));
    assert_eq!((outcome, failures), (Outcome::Failed, 0), "it may have been done");
    assert!(
        message.contains("answered 200 OK")
            && message.contains("(not what expect asks for); it may have acted: "),
        "{message}"
    );
    assert_eq!(
        judged("response.status == 404", answers(404, &json!({}))).0,
        Outcome::Succeeded,
        "it is gone already"
    );
    assert_eq!(judged(fine, answers(503, &done)).0, Outcome::Unknown);
    assert_eq!(
        judged(fine, answers(429, &done)),
        (Outcome::Failed, 0, judged(fine, answers(429, &done)).2),
        "the key is kept"
    );
    let (outcome, _, message) = judged(fine, answers(200, &json!({})));
    assert_eq!(outcome, Outcome::Unknown, "nobody can tell");
    assert!(message.contains("there is no field state"), "{message}");
    assert_eq!(judged(fine, answers(200, &done).broken_off()).0, Outcome::Unknown);
}

/// What one request comes to, with these settings of its step: its outcome, and how far its key
/// moved.
fn came_to(settings: &Value, act: Act) -> (Outcome, i64) {
    let mut step = json!({"name": "a", "http": http("a", json!({}))});
    if let Some(expect) = settings.get("expect") {
        step["http"]["expect"] = expect.clone();
    }
    if let Some(outputs) = settings.get("outputs") {
        step["outputs"] = outputs.clone();
    }
    let mut world = world(json!({"steps": [step]})).on("a", vec![act]);
    world.run_to_rest();
    let action = world.step("a").action.unwrap();
    (action.last_outcome.unwrap(), action.failures)
}

#[test]
fn a_no_is_a_no_however_much_of_its_body_came() {
    let (done, no, door, unknown) = (
        (Outcome::Succeeded, 0),
        (Outcome::Failed, 1),
        (Outcome::Failed, 0),
        (Outcome::Unknown, 0),
    );
    let table = [
        (200, done),
        (401, door),
        (402, no),
        (403, door),
        (404, no),
        (409, no),
        (425, door),
        (429, door),
        (503, unknown),
    ];
    let body = json!({"id": 7, "why": "declined"});
    let head = "response.status == 200 && 'content-type' in response.headers";
    let settings = [
        (json!({}), false),
        (json!({"outputs": {"id": "${response.body.id}"}}), true),
        (
            json!({
                "outputs": {
                    "code": "${response.status}", "kind": "${response.headers['content-type']}",
                },
            }),
            false,
        ),
        (json!({"expect": head}), false),
        (json!({"expect": head, "outputs": {"id": "${response.body.id}"}}), true),
    ];
    for (settings, reads_body) in &settings {
        for (status, means) in table {
            assert_eq!(
                came_to(settings, answers(status, &body)),
                means,
                "{status}, whole, {settings}"
            );
            let cut = if status == 200 && *reads_body { unknown } else { means };
            assert_eq!(
                came_to(settings, answers(status, &body).broken_off()),
                cut,
                "{status}, cut, {settings}"
            );
        }
    }
}

#[test]
fn what_is_expected_of_a_body_cannot_be_told_of_half_of_it() {
    for expect in [
        "response.body.id == 7",
        "has(response.body.id)",
        "response['body'].id == 7",
        "size(response) == 3",
    ] {
        for status in [200, 402, 503] {
            let seen = came_to(
                &json!({"expect": expect}),
                answers(status, &json!({"id": 7})).broken_off(),
            );
            assert_eq!(seen, (Outcome::Unknown, 0), "{expect}, {status}");
        }
    }
}

#[test]
fn what_cannot_be_handed_on_leaves_the_step_uncertain_until_a_person_gives_it() {
    for (answer, says) in [
        (answers(200, &json!({"other": 1})), "there is no field id"),
        (answers(200, &json!({"id": "x".repeat(5000)})), "at most 4096 bytes"),
        (answers(200, &json!({"id": null})), ""),
    ] {
        let mut world = world(json!({
            "steps": [
                {
                    "name": "a", "http": http("a", json!({})),
                    "outputs": {"id": "${response.body.id}"},
                },
                {
                    "name": "b", "dependsOn": ["a"],
                    "http": http("b", json!("${steps.a.outputs.id}")),
                },
            ],
        }))
        .on("a", vec![answer]);
        world.run_to_rest();
        if says.is_empty() {
            assert_eq!(world.phase(), SagaPhase::Completed);
            continue;
        }
        let step = world.step("a");
        assert_eq!((world.phase(), step.phase), (SagaPhase::Failed, StepPhase::Failed));
        assert!(step.message.as_deref().unwrap_or_default().contains(says), "{:?}", step.message);
        assert!(step.action.unwrap().uncertain, "it was done");
        world.demand(RequestAction::Skip, r#"a={"id":"given"}"#);
        world.run_to_rest();
        assert_eq!(
            (world.phase(), body(&world, "b", Action)["body"].clone()),
            (SagaPhase::Completed, json!("given"))
        );
    }
}

#[test]
fn values_are_the_same_after_a_crash_at_any_move() {
    for fatal in 0..24 {
        let mut world = world(order())
            .on("reserve-stock", vec![reserved()])
            .on("ship", vec![hands_on(json!({"tracking": "T-1"}))]);
        world = world.crash_at(fatal, seconds(1));
        world.run_to_rest();
        let tracking = world.status().outputs.and_then(|outputs| outputs.get("tracking").cloned());
        // A request whose operator died is unknown, and this one is not tried again.
        let lost = world.phase() == SagaPhase::Compensated;
        assert!(lost || tracking == Some(json!("T-1")), "{fatal}: {}", world.message());
    }
}

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
    ] {
        let (phase, message) = applied(field, kind, answer);
        assert_eq!(phase, StepPhase::Failed, "{message}");
        assert!(message.contains("which only params and saga may choose"), "{message}");
    }
}

#[test]
fn an_answer_that_leads_out_of_its_place_in_a_url_fails_the_step_and_nothing_is_sent() {
    for id in ["..", "."] {
        let mut spec = order();
        spec["steps"][0]["compensation"]["http"]["url"] = json!("http://shop/release/all");
        let mut world =
            world(spec).on("reserve-stock", vec![answers(201, &json!({"id": id, "left": 3}))]);
        world.run_to_rest();
        let step = world.step("charge");
        assert_eq!((step.phase, sent(&world, "charge", Action).len()), (StepPhase::Failed, 0));
        let says = format!(
            "spec.steps[1].http.url: ${{steps['reserve-stock'].outputs.id}}: makes the path \
             segment `{id}`"
        );
        assert!(
            step.message.as_deref().is_some_and(|message| message.starts_with(&says)),
            "{:?}",
            step.message
        );
    }
}
