#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use crate::api::StoredSaga;
use crate::api::names::AttemptId;
use crate::controller::clock::now;
use crate::controller::context::Context;
use crate::controller::effects::perform;
use crate::model::observation::Reached;
use crate::model::observation::{ChildState, End, Failure};
use crate::model::plan::Notice;
use crate::objects::event::event;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Mutex;

use http::{Method, Request};
use kube::{Client, client::Body, core::Status};
use serde_json::{Value, json};

use super::*;
use crate::{
    api::Direction,
    controller::{context::fixture, memory::remembered::backing_off},
    model::saga::SagaName,
    validate::saga::validate_stored,
};

fn sorted(code: u16, reason: &str, message: &str) -> &'static str {
    let status =
        Status { code, reason: reason.into(), message: message.into(), ..Status::default() };
    let error = kube::Error::Api(Box::new(status));
    match refusal(&error, "Pod") {
        _ if classify(&error) == ErrorClass::Exists => "exists",
        ApiRefusal::Passes(_) | ApiRefusal::NoKind(_, _) => "passes",
        ApiRefusal::Final(_, _) => "final",
        ApiRefusal::Lost(_) => "nobody knows",
    }
}

#[test]
fn only_what_a_person_has_to_mend_fails_a_step() {
    assert_eq!(sorted(409, "AlreadyExists", "pods \"a\" already exists"), "exists");
    assert_eq!(sorted(409, "Conflict", "quota"), "passes");
    assert_eq!(sorted(429, "TooManyRequests", ""), "passes");
    assert_eq!(sorted(403, "Forbidden", "pods \"a\" is forbidden: exceeded quota: q"), "passes");
    assert_eq!(
        sorted(401, "Unauthorized", "Unauthorized"),
        "passes",
        "the operator's own token has run out"
    );
    assert_eq!(
        sorted(
            500,
            "InternalError",
            "Internal error occurred: failed calling webhook \"w\": refused"
        ),
        "passes"
    );
    assert_eq!(sorted(403, "Forbidden", "violates PodSecurity"), "final");
    assert_eq!(sorted(422, "Invalid", "image"), "final");
    for code in [408, 500, 503, 504] {
        assert_eq!(
            sorted(code, "Timeout", "etcdserver: request timed out"),
            "nobody knows",
            "{code}"
        );
    }
}

#[test]
fn a_refusal_is_one_bounded_line() {
    let status = Status { code: 422, message: "long\n".repeat(10_000), ..Status::default() };
    let ApiRefusal::Final(_, message) = refusal(&kube::Error::Api(Box::new(status)), "Pod") else {
        unreachable!()
    };
    assert!(message.chars().count() < 400 && !message.contains('\n'), "{message}");
}

#[test]
fn each_notice_is_an_event_of_its_own_that_the_api_server_takes() {
    let saga: StoredSaga = serde_json::from_value(
        json!({"metadata": {"name": "order", "namespace": "shop", "uid": "u"}}),
    )
    .unwrap();
    let notice =
        |message: &str| Notice { warning: true, reason: "StepFailed", message: message.into() };
    let event = |message: &str| event(&saga, "me", &notice(message), Timestamp::UNIX_EPOCH);
    assert_ne!(event("step a failed").metadata.name, event("step b failed").metadata.name);
    let note = event(&"\u{1f980}".repeat(1000)).note.unwrap();
    assert!(note.len() <= 1024 && note.ends_with('\u{1f980}'), "{note}");
}

/// An attempt to create a Pod right after a status write, against an API server that gives these
/// answers, one after the other. How often it is tried, the methods that were asked for, the last
/// word, and how the attempt ended for this process.
async fn tried(age: Duration, answers: &[u16]) -> (Vec<Method>, Next, Option<End>) {
    let (context, asked, last) = tried_as(&json!({"pod": {"image": "charge"}}), age, answers).await;
    (asked, last, context.memory.attempts.look(&key(), |known| known.end.clone()))
}

/// The attempt.
fn key() -> AttemptKey {
    let attempt = AttemptId { step: "charge".into(), direction: Direction::Action, number: 1 };
    AttemptKey::new("1", attempt)
}

/// What the API server says with this code.
fn body_of(code: u16) -> Value {
    match code {
        201 => json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "u"}}),
        _ => json!({
            "kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": "",
        }),
    }
}

/// The same with a step that does this.
async fn tried_as(
    action: &Value,
    age: Duration,
    answers: &[u16],
) -> (Arc<Context>, Vec<Method>, Next) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, codes) = (Arc::clone(&asked), answers.to_vec());
    let answer = move |request: Request<Body>| {
        let mut log = log.lock().unwrap();
        let code = codes.get(log.len()).copied().unwrap_or(201);
        log.push(request.method().clone());
        std::future::ready(Ok::<_, Infallible>(fixture::answer(code, &body_of(code))))
    };
    let (context, _) = fixture::context(Client::new(tower::service_fn(answer), "default"), None);
    let mut step = json!({"name": "charge"});
    step.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
    let spec = json!({"steps": [step]});
    let stored: StoredSaga = serde_json::from_value(
        json!({"metadata": {"name": "order", "namespace": "shop", "uid": "1"}, "spec": spec}),
    )
    .unwrap();
    let named = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
    let saga = validate_stored(&named, &stored.spec).unwrap();
    let performance = fixture::performance(&context, &stored, &saga, "");
    let attempt = key().attempt;
    let saga_steps = &saga.steps;
    let (saga, namespace) = ("order".into(), "shop".into());
    let identity =
        Identity { saga, namespace, uid: "1".into(), attempt, key: "1/charge/action/0".into() };
    let mut last = Next::Later;
    for _ in 0..answers.len().max(1) {
        let (identity, time_limit) = (identity.clone(), Duration::from_mins(5));
        let begin = Effect::Begin {
            identity,
            work: Box::new(saga_steps[0].action.work.clone()),
            timeout: saga_steps[0].action.timeout,
            intended: now() - age,
            time_limit,
            uid: None,
        };
        // What was answered to nobody is an error, and tried again.
        let written = Some(Instant::now());
        last = perform::one(&performance, begin, "7", written, StopReason::Overdue)
            .await
            .unwrap_or(Next::AtOnce);
    }
    let asked = asked.lock().unwrap().clone();
    (context, asked, last)
}

#[tokio::test]
async fn a_creation_whose_answer_may_be_lost_does_not_leave_late_however_fresh_its_status_is() {
    assert_eq!(tried(Duration::ZERO, &[]).await, (vec![Method::POST], Next::Later, None));
    assert_eq!(
        tried(Duration::from_secs(30), &[]).await,
        (Vec::new(), Next::AtOnce, None),
        "the next look settles it"
    );
}

#[tokio::test]
async fn a_final_refusal_says_nothing_of_an_earlier_creation_that_was_answered_to_nobody() {
    let (_, _, end) = tried(Duration::ZERO, &[422]).await;
    assert!(matches!(end, Some(End::Failed(Failure { reached: Reached::Nothing, .. }))), "{end:?}");
    let (asked, _, end) = tried(Duration::ZERO, &[504, 422]).await;
    assert!(
        asked.len() == 2 && matches!(end, Some(End::Unknown { .. })),
        "the first one may have made it: {end:?}"
    );
}

#[tokio::test]
async fn a_child_saga_whose_creation_was_answered_to_nobody_is_created_again_only_later() {
    let child = json!({"saga": {"spec": {"steps": [{"name": "a", "wait": {"for": "1s"}}]}}});
    let (context, asked, _) = tried_as(&child, Duration::ZERO, &[500]).await;
    assert_eq!(asked, [Method::POST]);
    let waits = context.memory.attempts.look(&key(), |known| backing_off(known));
    assert!(
        matches!(waits, Some(ChildState::Active { uid: None, .. })),
        "it may be there: {waits:?}"
    );
}
