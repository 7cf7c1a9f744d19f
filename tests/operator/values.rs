//! Tests of values that the API server stores in another form, and of values that no status can
//! hold.

use saga_operator::api::{RequestResult, Saga, SagaPhase, StepPhase};
use serde_json::{Value, json};

use crate::{
    keeper,
    pods::pod,
    shop::{Entry, Kind},
    stand::{Stand, message, names_its_child, outcomes, post, scope, step, still_in_effect},
};

/// Returns an HTTP request with this body.
fn post_body(path: &str, body: &Value) -> Value {
    json!({"method": "POST", "url": format!("SHOP{path}"), "body": body})
}

/// Lets the shop answer the requests for stock with this body, and the first requests for a payment
/// as `payments` says.
fn behave(stand: &Stand, stock: &str, payments: &Value) {
    let then = |service: &str, then: Value| {
        json!({
            "match": {"service": service, "direction": "action"}, "then": then,
        })
    };
    let say = json!([{"say": stock, "forever": true}]);
    stand.shop.behave(&json!([then("stock", say), then("payments", payments.clone())])).unwrap();
}

/// Returns a saga that asks for stock, and sends this body to the payment service until it is
/// answered.
fn told_on(body: &Value) -> Value {
    let backoff = json!({"initialDelay": "50ms", "maxDelay": "200ms"});
    json!({
        "params": {
            "labels": {"d": 1, "b": 2, "c": 3, "a": 4, "f": 5, "e": 6}, "list": ["d", "b", "c"],
        },
        "defaults": {"retry": {"maxAttempts": 5, "backoff": backoff}},
        "steps": [
            {
                "name": "ask", "http": post("/stock/reservations"),
                "outputs": {"v": "${response.body.v}"},
                "compensation": {"http": post("/stock/releases")},
            },
            {
                "name": "pay", "dependsOn": ["ask"], "http": post_body("/payments/charges", body),
                "compensation": {"http": post("/payments/refunds")},
            },
        ],
    })
}

fn entries(stand: &Stand, saga: &Saga, step: &str) -> Vec<Entry> {
    stand.shop.entries(Some(&scope(saga))).into_iter().filter(|entry| entry.step == step).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_sends_the_number_that_was_sent_first() {
    let mut stand = Stand::new("numbers").await;
    stand.start();
    for (name, answered, stored) in [
        ("whole", "100.0", "100"),
        ("half", "100.5", "100.5"),
        ("large", "1e3", "1000"),
        ("long", "36.600000000000001421", "36.6"),
    ] {
        behave(
            &stand,
            &format!(r#"{{"v": {answered}}}"#),
            &json!([{"closeAfterWork": true}, {"answer": 503}]),
        );
        stand
            .apply(
                name,
                &told_on(&json!({
                    "v": "${steps.ask.outputs.v}", "twice": "${steps.ask.outputs.v * 2.0}",
                })),
            )
            .await;
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        assert_eq!(
            stand.kubectl(&[
                "get",
                &format!("saga/{name}"),
                "-o",
                "jsonpath={.status.steps[0].outputs.v}"
            ]),
            stored
        );
        let sent = entries(&stand, &saga, "pay");
        let kinds: Vec<_> = sent.iter().map(|entry| entry.kind).collect();
        assert_eq!(
            kinds,
            [Kind::Done, Kind::Refused, Kind::Repeat],
            "{name}: the shop knows the request again"
        );
        assert!(sent.iter().all(|entry| entry.body_hash == sent[0].body_hash), "{sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_sends_what_was_sent_first_where_it_goes_through_a_map() {
    let mut stand = Stand::new("maps").await;
    stand.start();
    let bodies = [
        ("params", "${params.labels.map(k, k)}"),
        ("answer", "${steps.ask.outputs.v.filter(k, k != 'x')}"),
        ("written", "${{'z': 1, 'y': 2, 'x': 3, 'w': 4}.map(k, k).join(',')}"),
        ("list", "${params.list.map(k, k + '!')}"),
    ];
    for (name, body) in bodies {
        behave(
            &stand,
            r#"{"v": {"q": 1, "p": 2, "r": 3, "o": 4}}"#,
            &json!([{"answer": 503}, {"answer": 503}]),
        );
        stand.apply(name, &told_on(&json!({"t": body}))).await;
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        let sent = entries(&stand, &saga, "pay");
        assert!(
            sent.len() == 3 && sent.iter().all(|entry| entry.body_hash == sent[0].body_hash),
            "{name}: {sent:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_named_by_a_number_is_one_object_and_is_undone() {
    let stand = keeper::stand_with("named", ("", "configmaps"), &["get", "patch", "delete"]).await;
    for (name, answered, object) in [("two", "2.0", "web-2"), ("half", "2.5", "web-2.5")] {
        behave(&stand, &format!(r#"{{"v": {answered}}}"#), &json!([]));
        let config_map = |name: &str| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                "data": {"ready": "no"},
            })
        };
        let named = "web-${steps.ask.outputs.v}";
        let spec = json!({"serviceAccountName": "keeper", "onFailure": "Compensate", "steps": [
            {
                "name": "ask", "http": post("/stock/reservations"),
                "outputs": {"v": "${response.body.v}"},
            },
            {
                "name": "put", "dependsOn": ["ask"], "precheck": "Skip",
                "apply": {"manifest": config_map(named), "until": "object.data.ready == 'yes'"},
                "compensation": {
                    "delete": {"apiVersion": "v1", "kind": "ConfigMap", "name": named},
                },
            },
            {"name": "fail", "dependsOn": ["put"], "http": post("/payments/nowhere")},
        ]});
        stand.apply(name, &spec).await;
        stand.until(name, "seen with its object", |saga| names_its_child(saga, "put")).await;
        let maps = stand.api_of(&config_map("x"));
        let applied = || async {
            let all = maps.list(&kube::api::ListParams::default()).await.unwrap();
            all.items
                .into_iter()
                .filter_map(|map| map.metadata.name)
                .filter(|name| name.starts_with("web-"))
                .collect::<Vec<_>>()
        };
        assert_eq!(applied().await, [object]);
        let ready = json!({"data": {"ready": "yes"}});
        maps.patch(object, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&ready))
            .await
            .unwrap();
        let saga = stand.reaches(name, SagaPhase::Compensated).await;
        assert_eq!(
            (applied().await, outcomes(&saga, "put").len()),
            (vec![], 1),
            "nothing of it is left behind"
        );
    }
}

/// Returns a value that is nested this deep, as text.
fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(depth - 1), "}".repeat(depth - 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_nested_too_deep_is_not_taken_and_the_saga_can_still_be_undone() {
    let mut stand = Stand::new("deep").await;
    stand.start();
    for (name, depth) in [("most", 31), ("more", 32), ("deep", 126)] {
        behave(&stand, &format!(r#"{{"v": {}}}"#, nested(depth)), &json!([]));
        stand.apply(name, &told_on(&json!({}))).await;
        if depth < 32 {
            stand.reaches(name, SagaPhase::Completed).await;
            continue;
        }
        let saga = stand.reaches(name, SagaPhase::Failed).await;
        let says = "the action succeeded, but its outputs cannot be stored: the outputs of a step \
            may be nested at most 32 deep";
        assert!(message(&saga).contains(says), "{}", message(&saga));
        assert!(
            step(&saga, "ask").action.as_ref().unwrap().uncertain
                && outcomes(&saga, "ask").len() == 1,
            "{saga:?}"
        );
        stand.kubectl(&[
            "annotate",
            &format!("saga/{name}"),
            "saga.dev/compensate=it cannot be used",
        ]);
        let saga = stand.reaches(name, SagaPhase::Compensated).await;
        assert_eq!(
            (stand.shop.summary(&scope(&saga)).undone, still_in_effect(&saga)),
            (vec!["ask".to_owned()], vec![])
        );
        stand.delete(name).await;
        stand.gone(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn last_words_of_a_pod_and_outputs_of_a_skip_that_are_nested_too_deep_are_not_taken() {
    let mut stand = Stand::new("deep-words").await;
    stand.start();
    for (name, depth) in [("most", 31), ("more", 32), ("deep", 126), ("deepest", 400)] {
        let says = format!(
            "printf '%s' '{{\"v\": {}}}' > /dev/termination-log",
            nested(depth).replace("{\"a\":", "[").replace('}', "]")
        );
        stand.apply(name, &json!({"steps": [{"name": "say", "pod": pod(&says)}]})).await;
        if depth < 32 {
            stand.reaches(name, SagaPhase::Completed).await;
            continue;
        }
        let saga = stand.reaches(name, SagaPhase::Failed).await;
        assert!(message(&saga).contains("may be nested at most 32 deep"), "{}", message(&saga));
        assert!(step(&saga, "say").action.as_ref().unwrap().uncertain, "{saga:?}");
        stand.ask(name, &format!(r#"saga.dev/skip=say={{"v": {}}}"#, nested(depth.min(100))));
        let refused = stand.answer(name, 1).await;
        assert_eq!(refused.result, RequestResult::Refused);
        assert!(refused.message.contains("nested deeper than 32 times"), "{}", refused.message);
        stand.ask(name, &format!(r#"saga.dev/skip=say={{"v": {}}}"#, nested(31)));
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        assert_eq!(step(&saga, "say").phase, StepPhase::Skipped);
    }
}

/// Returns a checkout in which the shipment, and the compensation of the invoice, read the output
/// of the payment.
fn reading() -> Value {
    json!({"steps": [
        {
            "name": "pay", "http": post("/payments/charges"),
            "outputs": {"id": "${response.body.id}"},
        },
        {
            "name": "ship", "dependsOn": ["pay"],
            "http": post_body("/shipping/shipments", &json!({"charge": "${steps.pay.outputs.id}"})),
        },
        {
            "name": "bill", "dependsOn": ["pay"], "http": post("/mail/messages"),
            "compensation": {
                "http": post_body(
                    "/mail/retractions",
                    &json!({"slip": "${steps['pay'].outputs.slip}"}),
                ),
            },
        },
        {"name": "note", "dependsOn": ["pay"],
         "http": post_body("/database/backups", &json!({"charge": "${has(steps.pay.outputs.id) ? \
          steps.pay.outputs.id : 'none'}"}))},
    ]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skip_that_leaves_out_what_others_read_is_refused_and_one_that_gives_it_is_accepted() {
    let mut stand = Stand::new("left-out").await;
    stand.start();
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "payments"}, "then": [{"answer": 402, "forever": true}],
        }]))
        .unwrap();
    stand.apply("order", &reading()).await;
    stand.reaches("order", SagaPhase::Failed).await;
    stand.ask("order", "saga.dev/skip=pay");
    let refused = stand.answer("order", 1).await;
    assert_eq!(refused.result, RequestResult::Refused);
    let names = "step ship reads id of step pay, the compensation of step bill reads slip of step \
        pay, and the request does not give it";
    assert!(
        refused.message.starts_with(names)
            && refused.message.contains(r#"saga.dev/skip=pay={"id":…,"slip":…}"#),
        "{}",
        refused.message
    );
    let event = stand.event("order", "RequestRefused").await;
    assert!(event.note.unwrap().contains(names));
    stand.ask("order", r#"saga.dev/skip=pay={"id":"C-1"}"#);
    let refused = stand.answer("order", 2).await;
    assert!(
        refused
            .message
            .starts_with("the compensation of step bill reads slip of step pay, and the"),
        "{}",
        refused.message
    );
    stand.ask("order", r#"saga.dev/skip=pay={"id":"C-1","slip":null}"#);
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["ship", "bill", "note"]);
    // The steps that read the output are skipped first. Then no step reads the output.
    stand.apply("second", &reading()).await;
    stand.reaches("second", SagaPhase::Failed).await;
    for (number, value) in [(1, "ship,bill"), (2, "pay")] {
        stand.ask("second", &format!("saga.dev/skip={value}"));
        assert_eq!(stand.answer("second", number).await.result, RequestResult::Accepted);
    }
    let saga = stand.reaches("second", SagaPhase::Completed).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["note"]);
}
