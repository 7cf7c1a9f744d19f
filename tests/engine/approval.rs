//! Steps that wait for the approval of a user.

use saga_operator::api::{Outcome, RequestAction, SagaPhase, StepPhase};

use crate::{
    saga::{Draft, attempts, duration, no_retry, saga},
    scenes::failed_beside,
    script::seconds,
    world::World,
};

use RequestAction::{Approve, Pause, Reject, Retry};

/// Returns a saga with an HTTP request, an approval after it, and an HTTP request after the
/// approval.
pub(crate) fn release() -> Draft {
    saga().http("build").undo().approval("ok").after(&["build"]).then_http("ship").undo()
}

/// Creates a world in which the approval `ok` waits.
pub(crate) fn asks(draft: Draft) -> World {
    let mut world = World::with(draft);
    world.run_to_rest();
    assert!(world.is("ok", StepPhase::Waiting), "{:?}", world.status());
    world
}

#[test]
fn a_saga_that_waits_for_approval_says_what_to_do_and_is_left_alone() {
    let mut draft = release();
    draft.0.steps[1].approval.as_mut().unwrap().message = Some("Is version 7 good?".into());
    let mut world = asks(draft);
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Running, Some("Unknown/AwaitingApproval"))
    );
    assert_eq!(world.condition("Reconciling").as_deref(), Some("True/AwaitingApproval"));
    let how = "To approve: kubectl annotate --overwrite saga/order-1042 saga.dev/approve=ok -n \
        shop. Or annotate saga.dev/reject=ok to reject";
    assert_eq!(world.message(), format!("step ok waits for approval (Is version 7 good?). {how}"));
    assert_eq!(world.status().current_steps.as_deref(), Some("ok"));
    let notice = world.notices.iter().find(|notice| notice.reason == "AwaitingApproval").unwrap();
    assert_eq!(notice.message, world.message());
    let writes = world.writes;
    world.run_for(seconds(1_000_000));
    world.crash(seconds(1));
    world.run_to_rest();
    assert_eq!(
        (world.writes, world.sent().len()),
        (writes, 1),
        "there is no time limit, and nothing leaves"
    );
}

#[test]
fn what_is_approved_is_done() {
    let mut world = asks(release());
    assert_eq!(world.demand(Approve, "ok"), "step ok is approved");
    assert_eq!(world.step("ok").action.unwrap().attempts[0].outcome, Outcome::Succeeded);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.done(), world.still_in_effect().len()),
        (SagaPhase::Completed, vec!["build", "ok", "ship"], 0)
    );
}

#[test]
fn what_is_rejected_failed_for_good() {
    let mut world = asks(release());
    assert_eq!(world.demand(Reject, "ok"), "step ok is rejected");
    world.run_to_rest();
    let step = world.step("ok");
    assert_eq!(
        (world.phase(), step.phase, step.message.as_deref()),
        (SagaPhase::Failed, StepPhase::Failed, Some("attempt 1 failed: rejected by request"))
    );
    assert_eq!(
        (step.action.as_ref().unwrap().uncertain, step.action.unwrap().begun),
        (false, false),
        "it did nothing"
    );
    assert!(
        world.message().contains(
            "step ok failed: attempt 1 failed: rejected by request. The saga waits for you"
        )
    );

    let mut world = asks(release().compensating());
    world.demand(Reject, "ok");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone(), world.still_in_effect().len()),
        (SagaPhase::Compensated, vec!["build"], 0)
    );
    assert_eq!(world.step("ok").phase, StepPhase::Failed);
}

#[test]
fn defaults_for_retries_are_not_meant_for_approvals() {
    let mut defaults = no_retry();
    defaults.retry = Some(attempts(5));
    let mut world = asks(release().defaults(defaults));
    world.demand(Reject, "ok");
    world.run_to_rest();
    assert_eq!((world.phase(), world.step("ok").action.unwrap().attempt), (SagaPhase::Failed, 1));
}

#[test]
fn no_answer_within_its_time_is_a_no() {
    let draft = saga().approval("ok").timeout("1h").then_http("ship");
    let mut world = World::with(draft.clone());
    world.run_until(|world| world.is("ok", StepPhase::Failed));
    assert_eq!((world.elapsed(), world.phase()), (seconds(3600), SagaPhase::Failed));
    assert_eq!(
        world.step("ok").message.as_deref(),
        Some("attempt 1 failed: no answer within its time limit")
    );
    // The time limit counts from the recorded instant, whichever process reconciles.
    let mut world = World::with(draft.clone());
    world.run_for(seconds(10));
    world.crash(seconds(3000));
    world.run_to_rest();
    assert_eq!(world.elapsed(), seconds(3600));
    // The default time limit applies to approvals as to all other work.
    let mut defaults = no_retry();
    defaults.timeout = Some(duration("5m"));
    let mut world = World::with(saga().approval("ok").defaults(defaults));
    world.run_to_rest();
    assert_eq!((world.elapsed(), world.phase()), (seconds(300), SagaPhase::Failed));
}

#[test]
fn its_time_runs_on_while_the_saga_is_paused_or_failed() {
    let mut world = World::with(saga().approval("ok").timeout("1h"));
    world.run_for(seconds(60));
    world.demand(Pause, "lunch");
    world.run_to_rest();
    assert_eq!(
        (world.elapsed(), world.phase(), world.is("ok", StepPhase::Failed)),
        (seconds(3600), SagaPhase::Failed, true)
    );
    let mut world =
        World::with(saga().approval("ok").timeout("1h").http("bad").parallel(2)).fails("bad", 1);
    world.run_until(|world| world.phase() == SagaPhase::Failed);
    assert!(world.is("ok", StepPhase::Waiting));
    world.run_to_rest();
    assert_eq!((world.elapsed(), world.is("ok", StepPhase::Failed)), (seconds(3600), true));
}

#[test]
fn an_approval_stays_answerable_while_the_saga_is_held() {
    for (answer, phase) in [(Approve, StepPhase::Completed), (Reject, StepPhase::Failed)] {
        let mut world = failed_beside("ok");
        assert!(
            world
                .message()
                .contains("Besides, step ok waits for approval. To approve: kubectl annotate"),
            "{}",
            world.message()
        );
        world.demand(answer, "ok");
        world.run_to_rest();
        assert_eq!((world.phase(), world.step("ok").phase), (SagaPhase::Failed, phase));
        assert!(
            world.is("c", StepPhase::Pending),
            "what depends on it waits until no step is Failed"
        );
        world.demand(Retry, "bad");
        world.run_to_rest();
        let expected = if answer == Approve { SagaPhase::Completed } else { SagaPhase::Failed };
        assert_eq!(world.phase(), expected);
    }
}

#[test]
fn approvals_take_their_places_among_the_steps_that_run() {
    let mut world = World::with(saga().approval("ok").http("a").http("b").parallel(2));
    world.run_to_rest();
    assert_eq!(world.done(), ["a", "b"], "one place is left beside the approval");
    let mut world = World::with(saga().approval("ok").http("a"));
    world.run_to_rest();
    assert_eq!(world.sent().len(), 0, "a plain list is an order");
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}
