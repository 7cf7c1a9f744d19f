//! The precheck: a saga that could not reach its end is refused before its first step.

use std::time::Duration;

use saga_operator::{
    api::{RequestAction, RequestResult, SagaPhase},
    engine::request::inbox::asks_to_check_again,
    fault::Fault,
    model::input::Precheck,
};

use serde_json::json;

use crate::{saga::Draft, scenes::order, script::seconds, world::World};

fn refused() -> Precheck {
    let refused = vec![
        Fault::new("spec.steps[1].pod", "Pod \"x\" is invalid: spec.containers[0].image"),
        Fault::new(
            "spec.steps[2].http",
            "the secret \"payments\" does not exist in namespace \"shop\"",
        ),
    ];
    Precheck { refused, again: Some(seconds(5)), ..Precheck::default() }
}

#[test]
fn nothing_begins_and_every_fault_is_told_with_its_place() {
    let mut world = World::with(order());
    world.precheck = refused();
    world.run_for(seconds(60));
    assert_eq!(
        (world.phase(), world.sent().len(), world.finalizer),
        (SagaPhase::Pending, 0, false)
    );
    assert_eq!(world.condition("Accepted").as_deref(), Some("False/Refused"));
    assert_eq!(
        (world.condition("Ready").as_deref(), world.condition("Stalled").as_deref()),
        (Some("False/Refused"), Some("True/Refused"))
    );
    let message = world.message();
    assert!(
        message.starts_with(
            "no step has begun, because the saga could not be completed: spec.steps[1].pod: Pod"
        ),
        "{message}"
    );
    assert!(message.contains("spec.steps[2].http: the secret"), "{message}");
    assert_eq!(world.writes, 1, "what does not change is not written");
    assert_eq!(world.notices.iter().filter(|notice| notice.reason == "Refused").count(), 1);
}

#[test]
fn what_was_not_tried_is_counted() {
    let mut world = World::with(order());
    world.precheck = Precheck { untried: 108, ..refused() };
    world.run_for(seconds(10));
    let told = "in namespace \"shop\"; and 108 more were not tried; the operator checks the saga \
        again after 5 s, then ever less often";
    assert!(world.message().contains(told), "{}", world.message());
    let status = world.status();
    assert!(status.conditions.iter().all(|condition| condition.message.contains(told)));
}

#[test]
fn it_goes_on_by_itself_when_what_was_missing_is_there() {
    let mut world = World::with(order());
    world.precheck = refused();
    world.run_for(seconds(60));
    world.precheck =
        Precheck { unchecked: vec!["spec.steps[2].pod".into()], ..Precheck::default() };
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Accepted").as_deref()),
        (SagaPhase::Completed, Some("True/Accepted"))
    );
    let status = world.status();
    let accepted =
        status.conditions.iter().find(|condition| condition.type_ == "Accepted").unwrap();
    assert_eq!(
        accepted.message,
        "the spec is valid; not checked before the first step: \
        spec.steps[2].pod"
    );
}

#[test]
fn what_changes_after_the_beginning_refuses_nothing() {
    let mut world = World::with(order());
    world.run_until(|world| world.sent().len() == 1);
    world.precheck = refused();
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_refused_saga_answers_requests_and_goes_when_it_is_deleted() {
    let mut world = World::with(order());
    world.precheck = refused();
    world.run_for(seconds(10));
    world.annotate(RequestAction::Retry.annotation(), "charge-card");
    world.run_for(seconds(10));
    let record = world.status().requests.last().cloned().unwrap();
    assert_eq!(record.result, RequestResult::Refused);
    assert!(record.message.starts_with("the saga is held (Refused)"), "{}", record.message);
    assert!(record.message.ends_with("* checks it again at once"), "{}", record.message);
    world.delete();
    world.run_for(seconds(10));
    assert!(world.gone);
}

/// Returns whether the shell must check the saga again without the cached result.
fn is_to_be_tried_anew(world: &World) -> bool {
    asks_to_check_again(&world.stored.asked, world.stored.handled, &world.status())
}

#[test]
fn a_refused_saga_is_tried_again_at_once_where_somebody_asks_for_all_of_it() {
    for value in ["*", "*@fixed"] {
        let mut world = World::with(order());
        world.precheck = refused();
        world.run_for(seconds(10));
        let before = world.writes;
        world.annotate(RequestAction::Retry.annotation(), value);
        assert!(is_to_be_tried_anew(&world), "{value}");
        world.run_for(Duration::ZERO);
        let record = world.status().requests.last().cloned().unwrap();
        assert_eq!(
            (record.result, world.writes),
            (RequestResult::Accepted, before + 1),
            "{record:?}"
        );
        assert_eq!(
            record.message,
            "the saga was checked again, and is still refused: its message says why"
        );
        assert!(!is_to_be_tried_anew(&world), "a request is acted on once: {value}");
        world.run_for(seconds(60));
        assert_eq!(
            (world.phase(), world.writes, world.status().requests.len()),
            (SagaPhase::Pending, before + 1, 1)
        );
    }
}

#[test]
fn a_refused_saga_that_is_tried_again_and_accepted_keeps_all_its_retries() {
    let mut world = World::with(order());
    world.precheck = refused();
    world.run_for(seconds(10));
    world.precheck = Precheck::default();
    world.annotate(RequestAction::Retry.annotation(), "*");
    world.run_for(Duration::ZERO);
    let status = world.status();
    let record = status.requests.last().unwrap();
    assert_eq!(
        (record.result, record.message.as_str()),
        (RequestResult::Accepted, "the saga was checked again, and is accepted now")
    );
    assert_eq!(
        (status.phase, status.retry_requests),
        (Some(SagaPhase::Running), 0),
        "spec.maxRetryRequests bounds attempts"
    );
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn nobody_asks_for_a_trial_by_another_request_or_by_one_that_is_answered_without_it() {
    for (action, value) in [
        (RequestAction::Retry, "charge-card"),
        (RequestAction::Pause, "*"),
        (RequestAction::Retry, " "),
    ] {
        let mut world = World::with(order());
        world.precheck = refused();
        world.run_for(seconds(10));
        world.annotate(action.annotation(), value);
        assert!(!is_to_be_tried_anew(&world), "{action} {value}");
    }
    let mut world = World::with(order());
    world.precheck = refused();
    world.run_for(seconds(10));
    world.reapplied = true;
    world.annotate(RequestAction::Retry.annotation(), "*");
    assert!(!is_to_be_tried_anew(&world), "it would be asked for again and again");
}

#[test]
fn an_accepted_saga_tells_what_it_is_warned_of_as_long_as_it_lives() {
    let undo = |name: &str| {
        json!({
            "http": {
                "method": "POST", "url": "http://shop.svc/undo",
                "body": {"id": format!("${{outputs.{name}}}")},
            },
        })
    };
    let step = |name: &str| {
        let (http, outputs) =
            (json!({"method": "POST", "url": "http://shop.svc/do"}), json!({name: "1"}));
        json!({"name": name, "http": http, "outputs": outputs, "compensation": undo(name)})
    };
    let steps: Vec<_> = ["a", "b", "c", "d", "e"].map(step).into();
    let mut world = World::with(Draft(serde_json::from_value(json!({"steps": steps})).unwrap()));
    world.precheck =
        Precheck { unchecked: vec!["spec.steps[2].http".into()], ..Precheck::default() };
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Accepted").as_deref()),
        (SagaPhase::Completed, Some("True/Accepted"))
    );
    let status = world.status();
    let message =
        &status.conditions.iter().find(|condition| condition.type_ == "Accepted").unwrap().message;
    let begins = "the spec is valid; warning: spec.steps[0].compensation.http.body.id: \
        ${outputs.a} reads outputs without has(): ";
    assert!(message.starts_with(begins), "{message}");
    assert!(
        message.ends_with(
            "; and 2 more of these; not checked before the first step: \
            spec.steps[2].http"
        ),
        "{message}"
    );
    assert!(
        !world.notices.iter().any(|notice| notice.warning),
        "no event: the same stands in each saga of a template"
    );
}

#[test]
fn an_accepted_saga_says_where_requests_are_guarded_by_patch_alone_and_is_not_written_for_it_later()
{
    let accepted = |world: &World| {
        let conditions = world.status().conditions;
        conditions.into_iter().find(|condition| condition.type_ == "Accepted").unwrap().message
    };
    let mut world = World::with(order());
    world.patch_alone = true;
    world.run_to_rest();
    assert_eq!(accepted(&world), "the spec is valid; requests are guarded by the verb patch alone");
    let before = world.status();
    world.patch_alone = false;
    assert!(world.look().is_ok() && world.status() == before, "what was said at acceptance stands");
    let mut guarded = World::with(order());
    guarded.run_to_rest();
    assert_eq!(accepted(&guarded), "the spec is valid");
    guarded.patch_alone = true;
    assert!(guarded.look().is_ok() && accepted(&guarded) == "the spec is valid");
}
