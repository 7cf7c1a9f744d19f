//! Tests of the instructions to the shop, and of the calls that they concern.

use serde_json::{Value, json};

use crate::{
    server::{Open, Reply, status},
    shop::{Kind, Shop},
};

#[tokio::test]
async fn a_list_is_used_up_call_by_call() {
    let open = Open::start().await;
    open.shop
        .behave(&json!([{"then": [{"answer": 429, "retryAfter": "2"}, {}, {"answer": 503}]}]))
        .unwrap();
    let first = open.charge("order/charge/action/0", &json!({})).await;
    assert!(first.clone().unwrap().1.contains("retry-after: 2\r\n"), "{first:?}");
    let mut statuses = vec![status(&first)];
    for _ in 0..3 {
        statuses.push(status(&open.charge("order/charge/action/0", &json!({})).await));
    }
    assert_eq!(statuses, [429, 201, 503, 201]);
    assert_eq!(open.shop.entries(None)[0].note, "answered 429 Too Many Requests");
}

#[tokio::test]
async fn the_last_item_may_stand_for_ever_until_other_rules_are_put() {
    let open = Open::start().await;
    open.shop
        .behave(&json!([{"then": [{"answer": 500}, {"answer": 422, "forever": true}]}]))
        .unwrap();
    let mut statuses = vec![];
    for _ in 0..4 {
        statuses.push(status(&open.charge("order/charge/action/0", &json!({})).await));
    }
    assert_eq!(statuses, [500, 422, 422, 422]);
    assert_eq!(status(&open.ask("PUT", "/behaviour", None, "[]").await), 204);
    assert_eq!(status(&open.charge("order/charge/action/0", &json!({})).await), 201);
}

#[tokio::test]
async fn a_rule_concerns_only_the_calls_that_match_all_it_says() {
    let always = json!([{"answer": 500, "forever": true}]);
    for (concerned, matching) in [
        (true, json!({})),
        (
            true,
            json!({
                "scope": "order", "service": "payments", "path": "/payments/charges",
                "step": "charge", "direction": "action",
            }),
        ),
        (false, json!({"scope": "order", "step": "refund"})),
        (false, json!({"scope": "other"})),
        (false, json!({"service": "stock"})),
        (false, json!({"path": "/payments/refunds"})),
        (false, json!({"direction": "compensation"})),
    ] {
        let open = Open::start().await;
        open.shop.behave(&json!([{"match": matching, "then": always}])).unwrap();
        let answered = status(&open.charge("order/charge/action/0", &json!({})).await);
        assert_eq!(answered == 500, concerned, "{matching} got {answered}");
    }
}

#[tokio::test]
async fn the_first_rule_that_is_not_used_up_counts() {
    let open = Open::start().await;
    let rules = json!([
        {"match": {"step": "charge"}, "then": [{"answer": 500}]},
        {"then": [{"answer": 503}]},
    ]);
    assert_eq!(status(&open.ask("PUT", "/behaviour", None, &rules.to_string()).await), 204);
    let mut statuses = vec![];
    for _ in 0..3 {
        statuses.push(status(&open.charge("order/charge/action/0", &json!({})).await));
    }
    assert_eq!(statuses, [500, 503, 201]);
}

#[tokio::test]
async fn what_is_declined_is_said_with_200_and_nothing_is_done() {
    let open = Open::start().await;
    let reply = open
        .charge("order/charge/action/0", &json!({"shop": {"then": [{"decline": true}]}}))
        .await
        .unwrap();
    assert_eq!((reply.0, reply.1.contains(r#""status":"declined""#)), (200, true), "{}", reply.1);
    assert_eq!(open.kinds(), [Kind::Refused]);
}

async fn pay(open: &Open, key: &str) -> Reply {
    open.charge(
        key,
        &json!({"amount": 1, "shop": {"then": [{"answer": 503}, {"closeBeforeWork": true}]}}),
    )
    .await
}

#[tokio::test]
async fn a_request_may_bring_its_own_rule_for_its_step() {
    let open = Open::start().await;
    assert_eq!(status(&pay(&open, "order/charge/action/0").await), 503);
    assert_eq!(pay(&open, "order/charge/action/0").await, None);
    assert_eq!(
        status(&pay(&open, "order/charge/action/0").await),
        201,
        "used up, and not brought again by the third request"
    );
    assert_eq!(
        status(&pay(&open, "other/charge/action/0").await),
        503,
        "another scope has its own"
    );
    open.shop.forget(Some("order"));
    assert_eq!(status(&pay(&open, "order/charge/action/0").await), 503, "forgotten with its scope");
}

#[tokio::test]
async fn a_wrong_rule_in_a_request_is_refused_and_nothing_is_done() {
    let open = Open::start().await;
    let reply =
        open.charge("order/charge/action/0", &json!({"shop": {"failTimes": 2}})).await.unwrap();
    assert_eq!(reply.0, 400);
    assert!(reply.1.contains("shop: failTimes: unknown field"), "{}", reply.1);
    assert_eq!(open.kinds(), []);
}

#[test]
fn wrong_rules_are_refused_with_the_place_and_the_way_out() {
    let item = |item: Value| json!([{"then": [item]}]);
    for (rules, sentence) in [
        (json!({}), "expected a sequence"),
        (
            json!([{"match": {"stepp": "a"}, "then": []}]),
            "[0].match.stepp: unknown field `stepp`, expected one of `scope`, `service`",
        ),
        (
            json!([{"match": {"direction": "undo"}, "then": []}]),
            "unknown variant `undo`, expected `action` or `compensation`",
        ),
        (json!([{"match": {}}]), "missing field `then`"),
        (
            json!([{"then": [{"answer": 500, "forever": true}, {}]}]),
            "forever may stand only at the last item",
        ),
        (item(json!({"answer": 200})), "answer must be a status from 300 to 599"),
        (item(json!({"answer": 500, "hang": "1s"})), "an item says one thing"),
        (item(json!({"decline": true, "hang": "1s"})), "an item says one thing"),
        (item(json!({"hang": "61s"})), "61s is no wait of more than 0 and at most 60 s"),
        (item(json!({"delay": "0s"})), "is no wait of more than 0 and at most 60 s"),
        (item(json!({"retryAfter": "2"})), "retryAfter needs an answer"),
        (item(json!({"answer": 503, "retryAfter": "a\nb"})), "retryAfter must be a header value"),
    ] {
        let refused = Shop::default().behave(&rules).unwrap_err();
        assert!(refused.contains(sentence), "{rules}: {refused}");
    }
}
