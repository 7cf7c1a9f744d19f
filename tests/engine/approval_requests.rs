//! Other requests while an approval waits, and after an approval was given or rejected.

use saga_operator::api::{Direction, RequestAction, SagaPhase, StepPhase};

use crate::{
    approval::{asks, release},
    saga::saga,
    scenes::SCENES,
    script::seconds,
    world::World,
};

use RequestAction::{Approve, Cancel, Pause, Reject, Resume, Retry, Skip};

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
