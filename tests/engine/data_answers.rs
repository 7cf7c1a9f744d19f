//! What a step expects of an answer, and which values a step may take from an answer.

use saga_operator::api::{Direction::Action, Outcome, RequestAction, SagaPhase, StepPhase};
use serde_json::{Value, json};

use crate::{
    data::{body, http, order, sent, world},
    script::{Act, answers},
};

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
            && message.contains("(expect is false for this answer); it may have acted: "),
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

/// Returns the outcome of one HTTP request with these settings of its step, and how far its key
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
fn an_answer_that_leads_out_of_its_place_in_a_url_fails_the_step_and_nothing_is_sent() {
    for id in ["..", "."] {
        let mut spec = order();
        spec["steps"][0]["compensation"]["http"]["url"] = json!("http://shop.svc/release/all");
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
