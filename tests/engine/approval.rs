//! Steps that wait for a person.

use saga_operator::api::{Direction, Outcome, RequestAction, SagaPhase, StepPhase};

use crate::{
    saga::{Draft, attempts, duration, no_retry, saga},
    scenes::{SCENES, failed_beside},
    script::{seconds, succeeds},
    world::World,
};

use RequestAction::{Approve, Cancel, Compensate, Pause, Reject, Resume, Retry, Skip};

/// A request, an approval after it, and a request after that.
fn release() -> Draft {
    saga().http("build").undo().approval("ok").after(&["build"]).then_http("ship").undo()
}

/// The approval waits.
fn asks(draft: Draft) -> World {
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
        Some("attempt 1 failed: no answer within its time")
    );
    // Its time counts from the recorded instant, whoever looks.
    let mut world = World::with(draft.clone());
    world.run_for(seconds(10));
    world.crash(seconds(3000));
    world.run_to_rest();
    assert_eq!(world.elapsed(), seconds(3600));
    // The time limit of the defaults goes for approvals as for all else.
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
fn where_the_saga_turns_back_an_approval_was_not_reached() {
    let by_failure = || {
        let mut world = World::with(
            saga().http("a").undo().approval("ok").http("bad").parallel(3).compensating(),
        );
        world = world.on("bad", vec![crate::script::says_no().takes(seconds(9))]);
        world.run_to_rest();
        world
    };
    let by_request = || {
        let mut world = failed_beside("ok");
        world.demand(Compensate, "no");
        world.run_to_rest();
        world
    };
    for world in [by_failure(), by_request()] {
        let step = world.step("ok");
        assert_eq!(
            (world.phase(), step.phase, step.message.as_deref()),
            (SagaPhase::Compensated, StepPhase::Pending, Some("not reached"))
        );
        assert_eq!((world.still_in_effect().len(), world.undone()), (0, vec!["a"]));
        assert!(step.action.unwrap().active.is_none());
    }
}

#[test]
fn while_what_is_active_settles_before_the_undo_no_answer_is_taken() {
    let mut world = World::with(saga().approval("ok").http("slow").parallel(2))
        .on("slow", vec![succeeds().takes(seconds(20))]);
    world.run_for(seconds(1));
    world.demand(Compensate, "no");
    let told = world.refused(Approve, "ok");
    assert_eq!(
        told,
        "step ok is Waiting; while the saga is being undone, approve is allowed for no steps: \
         none is now"
    );
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Compensated, vec!["slow".to_owned()])
    );
}

#[test]
fn an_approval_can_be_the_point_of_no_return() {
    let draft = || {
        saga().http("a").undo().approval("ok").pivot().after(&["a"]).then_http("b").compensating()
    };
    let mut world = asks(draft()).fails("b", 1);
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Failed, 0));
    assert!(world.refused(Compensate, "no").contains("the pivot ok is passed"));
    // Rejected, or not answered yet, it is not passed.
    let mut world = asks(draft());
    world.demand(Reject, "ok");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
    let mut world = asks(draft());
    world.demand(Compensate, "no");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
    // Skipped by request, it is.
    let mut world = asks(draft());
    world.demand(Skip, "ok");
    assert!(world.refused(Compensate, "no").contains("the pivot ok is passed"));
}

#[test]
fn a_compensation_of_an_approval_is_carried_out_where_it_was_given() {
    let draft = || saga().approval("ok").undo().then_http("b").compensating();
    let mut world = asks(draft()).fails("b", 1);
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone(), world.still_in_effect().len()),
        (SagaPhase::Compensated, vec!["ok"], 0)
    );
    // What was rejected, and what was not answered, has nothing to be undone.
    for answered in [true, false] {
        let mut world = asks(draft());
        if answered {
            world.demand(Reject, "ok");
        } else {
            world.demand(Compensate, "no");
        }
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.undone().len(), world.sent().len()),
            (SagaPhase::Compensated, 0, 0)
        );
    }
    // Where the compensation fails, the approval is in effect.
    let draft = saga().approval("ok").undo().undo_retry(attempts(1)).then_http("b").compensating();
    let mut world = asks(draft).fails("b", 1).undo_fails("ok", 1);
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::CompensationFailed, vec!["ok".to_owned()])
    );
}

#[test]
fn a_saga_that_is_deleted_after_an_approval_undoes_it() {
    let mut world = asks(saga().approval("ok").undo().approval("more").after(&["ok"]));
    world.demand(Approve, "ok");
    world.run_to_rest();
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["ok"]));
}

#[test]
fn an_approval_without_a_compensation_is_never_in_effect() {
    let mut world = asks(saga().approval("ok").then_http("b").compensating()).fails("b", 1);
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!((world.phase(), world.still_in_effect().len()), (SagaPhase::Compensated, 0));
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Compensated"));
}

#[test]
fn a_rejected_approval_that_is_retried_waits_again() {
    let mut world = asks(release());
    world.demand(Reject, "ok");
    world.demand(Retry, "ok");
    world.run_to_rest();
    let step = world.step("ok");
    assert_eq!(
        (world.phase(), step.phase, step.action.unwrap().attempt),
        (SagaPhase::Running, StepPhase::Waiting, 2)
    );
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_retried_approval_has_its_whole_time_again() {
    let mut world = World::with(saga().approval("ok").timeout("1h"));
    world.run_to_rest();
    world.run_for(seconds(10_000));
    world.demand(Retry, "*");
    world.run_for(seconds(3599));
    assert!(world.is("ok", StepPhase::Waiting));
    world.run_for(seconds(1));
    assert!(world.is("ok", StepPhase::Failed));
}

#[test]
fn an_approval_that_waits_can_be_skipped() {
    let mut world = asks(release());
    assert_eq!(world.demand(Skip, r#"ok={"by":"Ann"}"#), "step ok is skipped and counts as done");
    assert_eq!(world.step("ok").outputs.unwrap()["by"], "Ann");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.done(), world.still_in_effect().len()),
        (SagaPhase::Completed, vec!["build", "ship"], 0)
    );
    assert_eq!(world.step("ok").message.as_deref(), Some("skipped by request"));
}

#[test]
fn only_approvals_that_wait_are_answered_whatever_else_is_named() {
    for answer in [Approve, Reject] {
        let draft = saga()
            .http("done")
            .approval("ok")
            .wait("nap", "1h")
            .approval("later")
            .after(&["ok"])
            .approval("also")
            .parallel(4);
        let mut world = World::with(draft);
        world.run_until(|world| {
            world.is("nap", StepPhase::Waiting) && world.is("done", StepPhase::Completed)
        });
        let now = format!(
            "{answer} is allowed for steps that are Waiting for an approval: now ok and also"
        );
        for (name, says) in [
            ("done", "step done is Completed; "),
            ("nap", "step nap is Waiting; "),
            ("later", "step later is Pending; "),
            ("nobody", "the saga has no step nobody; "),
            ("ok,nap", "step nap is Waiting; "),
        ] {
            assert_eq!(world.refused(answer, name), format!("{says}{now}"));
        }
        assert!(world.refused(answer, "*").contains("name the steps"));
        assert!(world.refused(answer, r#"ok={"a":1}"#).contains("only with saga.dev/skip"));
        let done = if answer == Approve { "approved" } else { "rejected" };
        assert_eq!(world.demand(answer, "ok, also"), format!("steps ok and also are {done}"));
        assert!(world.refused(answer, "ok").contains("step ok is"), "it was answered");
    }
}

#[test]
fn nothing_is_approved_where_nothing_waits() {
    for (scene, make) in SCENES {
        for answer in [Approve, Reject] {
            let mut world = make();
            let (waits, backward) = (
                world
                    .status()
                    .steps
                    .iter()
                    .any(|step| step.name == "b" && step.phase == StepPhase::Waiting),
                world.deleting,
            );
            let approval =
                world.spec.steps.iter().any(|step| step.name == "b" && step.approval.is_some());
            let accepted = world.ask_together(&[(answer, "b")]) == [(answer, true)];
            assert_eq!(accepted, waits && approval && !backward, "{scene}");
        }
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

#[test]
fn an_answer_is_acted_on_once_wherever_the_process_dies() {
    for answer in [Approve, Reject] {
        for moves in 1..10 {
            let mut world = asks(release()).crash_later(moves, seconds(1));
            world.annotate(answer.annotation(), "ok");
            world.run_to_rest();
            let expected = if answer == Approve { StepPhase::Completed } else { StepPhase::Failed };
            let (phase, asked) = (world.step("ok").phase, world.status().requests.len());
            assert_eq!((phase, asked), (expected, 1), "{answer}, dies after {moves} moves");
            assert_eq!(world.step("ok").action.unwrap().attempt, 1);
        }
    }
}

#[test]
fn answers_come_from_git_as_well() {
    let mut world = asks(release());
    world.demand(Approve, "ok@2026-11-24");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
    assert_eq!(world.annotations[Approve.annotation()], "ok@2026-11-24");
}

#[test]
fn what_was_approved_while_paused_goes_on_when_resumed() {
    let mut world = asks(release());
    world.demand(Pause, "lunch");
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Paused, Some("False/Paused"))
    );
    assert!(
        world.message().contains("step ok waits for approval. To approve: "),
        "{}",
        world.message()
    );
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!(world.sent_at("ship", Direction::Action).len(), 0);
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_cancelled_saga_asks_nobody_any_more() {
    let mut world = asks(release());
    world.demand(Cancel, "enough");
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Cancelled, vec!["build".to_owned()])
    );
    assert!(world.refused(Approve, "ok").starts_with("the saga is Cancelled"));
}
