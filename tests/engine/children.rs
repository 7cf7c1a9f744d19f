//! Child sagas: what their phase means to the step that carries them through or undoes them, and
//! what they are told.

use std::{sync::Arc, time::Duration};

use saga_operator::{
    api::{
        DeletionPolicy, Direction, Outcome, SagaAction, SagaPhase, StepPhase,
        names::ANNOTATION_KEYS, status::active_attempts,
    },
    engine::{plan, planner::child_sagas::left_behind},
    model::{
        command::Demand,
        observation::{ChildSaga, ChildState, Observed, Unheard},
        plan::{Effect, Finalizer, StatusWrite},
    },
};
use serde_json::json;

use crate::{
    saga::{Draft, attempts, saga},
    script::not_reached,
    world::World,
};

/// A saga whose first step carries a child through, and that child as the cluster shows it.
struct Family {
    parent: World,
    child: ChildSaga,
    /// What the child was told, in order.
    told: Vec<Demand>,
}

/// A step named `tenant` that carries a child through.
fn with_child(mut draft: Draft) -> Draft {
    draft = draft.pod("tenant");
    let step = draft.0.steps.last_mut().unwrap();
    step.pod = None;
    step.saga = Some(SagaAction { spec: json!({"steps": [{"name": "a", "wait": {"for": "1s"}}]}) });
    draft
}

impl Family {
    fn of(draft: Draft) -> Self {
        let child = ChildSaga {
            name: "order-tenant-a1".into(),
            uid: "child".into(),
            ..ChildSaga::default()
        };
        let mut family = Self { parent: World::with(draft), child, told: Vec::new() };
        family.look();
        family
    }

    /// Looks at the parent until nothing more comes of it. The child hears nothing by itself.
    fn look(&mut self) {
        for _ in 0..9 {
            let child = |(id, _): (_, &_)| (id, ChildState::Saga(Arc::new(self.child.clone())));
            let status = self.parent.status();
            let mut children: Observed = active_attempts(&status).map(child).collect();
            if let (true, Ok(saga)) = (self.parent.deleting, &self.parent.saga) {
                let policy = self.parent.spec.deletion_policy.unwrap_or_default();
                children.extend(
                    left_behind(saga, &status, policy)
                        .into_iter()
                        .map(|(id, _)| (id, ChildState::Saga(Arc::new(self.child.clone())))),
                );
            }
            let plan = plan(&self.parent.saga, &self.parent.seen(&children, "me"));
            self.parent.finalizer = match plan.finalizer {
                Finalizer::Add => true,
                Finalizer::Keep => self.parent.finalizer,
                Finalizer::Remove => false,
            };
            for effect in plan.drafted_effects() {
                if let Effect::Ask { demand, .. } = effect {
                    self.told.push(demand.clone());
                }
            }
            let Some(StatusWrite::Whole(status)) = plan.status else { return };
            self.parent.forge(json!(status));
        }
        panic!("nine looks and no end: {}", self.parent.raw);
    }

    fn child_is(&mut self, phase: SagaPhase) {
        self.child.phase = Some(phase);
        self.look();
    }

    /// The same with steps that stay in effect.
    fn child_ends(&mut self, phase: SagaPhase, still_in_effect: &[&str]) {
        self.child.still_in_effect =
            still_in_effect.iter().map(|step| (*step).to_owned()).collect();
        self.child_is(phase);
    }

    fn passes(&mut self, seconds: u64) {
        self.parent.now += Duration::from_secs(seconds);
        self.look();
    }

    fn told(&mut self) -> Vec<Demand> {
        std::mem::take(&mut self.told)
    }

    fn outcome(&self, direction: Direction) -> Option<Outcome> {
        self.parent.step("tenant").direction(direction).and_then(|record| record.last_outcome)
    }

    fn said(&self) -> String {
        self.parent.step("tenant").message.unwrap_or_default()
    }

    /// A saga that fails after its child is Completed, and turns back.
    fn that_turns_back() -> Self {
        let mut family = Self::of(with_child(saga()));
        family.child_is(SagaPhase::Completed);
        family.parent.annotate("saga.dev/compensate", "the customer called");
        family.look();
        family.told();
        family.look();
        family
    }
}

fn compensate(token: &str) -> Demand {
    Demand::Compensate { token: token.into() }
}

#[test]
fn a_step_is_done_when_its_child_is_and_hands_on_what_the_child_hands_on() {
    let mut family = Family::of(with_child(saga()));
    family.child.outputs = json!({"url": "https://a"}).as_object().cloned();
    family.child_is(SagaPhase::Running);
    assert!(family.parent.is("tenant", StepPhase::Running));
    family.child_is(SagaPhase::Completed);
    let step = family.parent.step("tenant");
    assert_eq!(
        (family.parent.phase(), json!(step.outputs)),
        (SagaPhase::Completed, json!({"url": "https://a"}))
    );
    assert_eq!(
        json!(step.child),
        json!({"name": "order-tenant-a1", "uid": "child", "phase": "Completed"})
    );
    assert_eq!(family.told(), []);
}

#[test]
fn a_child_that_ended_otherwise_failed_only_where_nothing_of_it_is_in_effect() {
    for (phase, left, outcome) in [
        (SagaPhase::Compensated, &[][..], Outcome::Failed),
        (SagaPhase::Compensated, &["mail"], Outcome::Unknown),
        (SagaPhase::Cancelled, &["mail"], Outcome::Unknown),
        (SagaPhase::Cancelled, &[], Outcome::Unknown),
    ] {
        let mut family = Family::of(with_child(saga()));
        family.child_ends(phase, left);
        assert_eq!(
            (family.outcome(Direction::Action), family.parent.phase()),
            (Some(outcome), SagaPhase::Failed),
            "{phase:?} {left:?}"
        );
        assert!(
            left.iter().all(|step| phase == SagaPhase::Cancelled || family.said().contains(step)),
            "{}",
            family.said()
        );
    }
}

#[test]
fn a_parent_waits_for_a_child_that_waits_for_a_person_and_says_so() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.child.age = Duration::from_secs(3);
    family.child.message = "step a failed".into();
    family.child_is(SagaPhase::Failed);
    assert_eq!(
        family.said(),
        "waits for its child saga order-tenant-a1, which is Failed: step a failed"
    );
    family.child_is(SagaPhase::CompensationFailed);
    assert!(
        family.parent.is("tenant", StepPhase::Running)
            && family.said().contains("CompensationFailed"),
        "{}",
        family.said()
    );
    family.child.message.clear();
    family.child_is(SagaPhase::Running);
    assert!(family.said().ends_with("which is Running"), "{}", family.said());
}

#[test]
fn a_pause_a_resumption_and_a_change_of_the_deletion_policy_reach_the_child() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    let follow = |suspend, deletion_policy| vec![Demand::Follow { suspend, deletion_policy }];
    family.parent.annotate("saga.dev/pause", "lunch");
    family.look();
    assert_eq!(family.told().last(), follow(true, DeletionPolicy::Compensate).last());
    family.child.suspended = true;
    family.look();
    assert_eq!(family.told(), [], "it was heard");
    family.parent.annotate("saga.dev/resume", "");
    family.parent.annotate("saga.dev/resume", "back");
    family.look();
    assert_eq!(family.told().last(), follow(false, DeletionPolicy::Compensate).last());
    family.child.suspended = false;
    family.parent.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    family.look();
    assert_eq!(family.told().last(), follow(false, DeletionPolicy::Abandon).last());
}

#[test]
fn a_cancelled_saga_cancels_its_child_and_ends_when_that_has_ended() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.parent.annotate("saga.dev/cancel", "wrong customer");
    family.look();
    assert_eq!(family.told().last(), Some(&Demand::Cancel));
    family.child.cancel_asked = true;
    family.look();
    assert_eq!(family.told(), []);
    family.child_ends(SagaPhase::Cancelled, &["a"]);
    assert_eq!(
        (family.parent.phase(), family.parent.status().still_in_effect),
        (SagaPhase::Cancelled, Some(vec!["tenant".into()]))
    );
}

#[test]
fn a_child_past_its_time_is_asked_to_undo_itself_and_settles_when_it_has() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.passes(3600);
    assert_eq!(family.told().last(), Some(&compensate("turn-back-1")));
    family.child.compensate_asked = Some("turn-back-1".into());
    family.child_is(SagaPhase::Compensating);
    family.passes(36_000);
    assert!(family.told().is_empty() && family.parent.is("tenant", StepPhase::Running));
    family.child_is(SagaPhase::Compensated);
    assert_eq!(family.outcome(Direction::Action), Some(Outcome::Failed));
}

#[test]
fn a_child_past_its_pivot_goes_on_whatever_its_time_limit_says() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.child.age = Duration::from_secs(3);
    family.look();
    family.child.compensate_asked = Some("turn-back-1".into());
    family.child.refused = Some(("turn-back-1".into(), "the pivot a is passed".into()));
    family.passes(3600);
    assert!(
        family.told().is_empty()
            && family.said().ends_with("it cannot be undone: the pivot a is passed"),
        "{}",
        family.said()
    );
    family.child_is(SagaPhase::Completed);
    assert_eq!(family.parent.phase(), SagaPhase::Completed);
}

#[test]
fn a_child_that_was_never_accepted_is_cancelled_when_its_time_has_passed() {
    let mut family = Family::of(with_child(saga()));
    family.look();
    family.passes(3600);
    assert_eq!(family.told(), [], "no operator saw it: it takes no request");
    family.child_is(SagaPhase::Pending);
    assert_eq!(family.told().first(), Some(&Demand::Cancel));
}

#[test]
fn the_deletion_of_a_saga_turns_its_child_back() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.parent.delete();
    family.look();
    assert_eq!(family.told().last(), Some(&compensate("turn-back-1")));
    family.child_is(SagaPhase::Compensated);
    assert!(!family.parent.finalizer, "nothing is in effect any more: {}", family.parent.raw);
}

#[test]
fn a_step_is_undone_by_undoing_its_child() {
    let mut family = Family::that_turns_back();
    assert_eq!(
        (family.parent.phase(), family.told()),
        (SagaPhase::Compensating, vec![compensate("undo-1")])
    );
    family.child.compensate_asked = Some("undo-1".into());
    family.look();
    assert_eq!(family.told(), []);
    family.child_is(SagaPhase::Compensating);
    family.child_is(SagaPhase::Compensated);
    assert_eq!(
        (family.parent.phase(), family.parent.status().still_in_effect),
        (SagaPhase::Compensated, Some(Vec::new()))
    );
}

#[test]
fn what_stays_in_effect_of_a_child_is_never_called_undone() {
    let mut family = Family::that_turns_back();
    family.child_ends(SagaPhase::Compensated, &["mail"]);
    assert_eq!(family.parent.phase(), SagaPhase::CompensationFailed);
    assert!(
        family
            .said()
            .contains("stay in effect: mail; undo them by hand, then skip this compensation"),
        "{}",
        family.said()
    );
    family.parent.annotate("saga.dev/skip", "tenant");
    family.look();
    assert_eq!(
        (family.parent.phase(), family.parent.status().still_in_effect),
        (SagaPhase::Compensated, Some(vec!["tenant".into()]))
    );
}

#[test]
fn a_child_that_refuses_to_be_undone_holds_its_parent_until_a_person_asks_again() {
    let mut family = Family::that_turns_back();
    family.child.compensate_asked = Some("undo-1".into());
    family.child.refused = Some(("undo-1".into(), "the pivot a is passed".into()));
    family.look();
    assert!(
        family.parent.phase() == SagaPhase::CompensationFailed
            && family.said().contains("the pivot a is passed"),
        "{}",
        family.said()
    );
    family.told();
    family.parent.annotate("saga.dev/retry", "tenant");
    family.look();
    assert_eq!(family.told().last(), Some(&compensate("undo-2")), "under a token of its own");
}

#[test]
fn a_cancelled_undo_cancels_the_child_and_waits_for_its_end() {
    let mut family = Family::that_turns_back();
    family.child.compensate_asked = Some("undo-1".into());
    family.child_is(SagaPhase::Compensating);
    family.told();
    family.parent.annotate("saga.dev/cancel", "the refunds are wrong");
    family.look();
    assert_eq!(
        (family.told().last(), family.parent.phase()),
        (Some(&Demand::Cancel), SagaPhase::Compensating)
    );
    family.child.cancel_asked = true;
    family.child_ends(SagaPhase::Cancelled, &["a"]);
    assert_eq!(
        (family.parent.phase(), family.parent.status().still_in_effect),
        (SagaPhase::Cancelled, Some(vec!["tenant".into()]))
    );
}

#[test]
fn a_child_that_undid_itself_says_nothing_of_the_one_before_it() {
    let mut draft = with_child(saga());
    draft.0.steps[0].retry = Some(attempts(2));
    let mut family = Family::of(draft);
    family.child_ends(SagaPhase::Cancelled, &["b"]);
    family.child =
        ChildSaga { name: "order-tenant-a2".into(), uid: "second".into(), ..ChildSaga::default() };
    family.passes(60);
    family.child_ends(SagaPhase::Compensated, &[]);
    assert_eq!(
        (family.parent.phase(), family.outcome(Direction::Action)),
        (SagaPhase::Failed, Some(Outcome::Unknown))
    );
    assert!(
        family.parent.step("tenant").action.unwrap().uncertain,
        "what the first one did may be in effect"
    );
}

/// The parent is deleted as it is: its child is told to go likewise, and when it has heard that the
/// parent goes.
fn goes_once_its_child_was_told(family: &mut Family) {
    family.parent.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    family.parent.delete();
    family.look();
    let follow = Demand::Follow { suspend: false, deletion_policy: DeletionPolicy::Abandon };
    assert_eq!((family.told(), family.parent.finalizer), (vec![follow], true));
    family.child.deletion_policy = DeletionPolicy::Abandon;
    family.look();
    assert_eq!((family.told(), family.parent.finalizer), (vec![], false));
}

#[test]
fn a_saga_that_is_abandoned_lets_its_child_go_as_it_is_before_it_goes() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    goes_once_its_child_was_told(&mut family);
}

#[test]
fn an_abandoned_saga_goes_without_a_child_it_may_not_tell_but_not_because_one_telling_failed() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Running);
    family.parent.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    family.parent.delete();
    let follow = |deletion_policy| Demand::Follow { suspend: false, deletion_policy };
    let unheard = |demand, refused| vec![Unheard { demand, why: "no".into(), refused }];
    for another in [
        unheard(Demand::Cancel, true),
        unheard(follow(DeletionPolicy::Compensate), true),
        unheard(follow(DeletionPolicy::Abandon), false),
    ] {
        family.child.unheard = another;
        family.look();
        assert_eq!(
            (family.told().last(), family.parent.finalizer),
            (Some(&follow(DeletionPolicy::Abandon)), true)
        );
    }
    family.child.unheard = unheard(follow(DeletionPolicy::Abandon), true);
    family.look();
    assert_eq!((family.told(), family.parent.finalizer), (vec![], false));
}

#[test]
fn a_saga_that_is_abandoned_lets_a_child_go_whose_undo_was_given_up() {
    let mut family = Family::that_turns_back();
    family.child.compensate_asked = Some("undo-1".into());
    family.child_is(SagaPhase::CompensationFailed);
    while family.parent.phase() != SagaPhase::CompensationFailed {
        family.passes(3600);
    }
    assert_eq!(active_attempts(&family.parent.status()).count(), 0);
    family.told();
    goes_once_its_child_was_told(&mut family);
}

#[test]
fn a_saga_that_was_refused_can_be_cancelled_since_nothing_of_it_ran() {
    let mut family = Family::of(with_child(saga()));
    family.parent.restore(json!({"phase": "Pending"}));
    family.parent.precheck.refused = vec![saga_operator::fault::Fault::new("spec.steps[0]", "no")];
    family.look();
    assert_eq!(family.parent.phase(), SagaPhase::Pending);
    family.parent.annotate("saga.dev/cancel", "cancelled for saga order, step tenant");
    family.look();
    assert_eq!(
        (family.parent.phase(), family.parent.status().still_in_effect),
        (SagaPhase::Cancelled, Some(Vec::new()))
    );
}

#[test]
fn a_child_that_is_held_is_asked_to_cancel_when_a_person_has_mended_it() {
    let mut family = Family::of(with_child(saga()));
    (family.child.held, family.child.message) = (true, "restore the spec".into());
    family.child_is(SagaPhase::Running);
    family.child.age = Duration::from_secs(3);
    family.parent.annotate("saga.dev/cancel", "stop");
    family.look();
    assert_eq!((family.told(), family.parent.phase()), (vec![], SagaPhase::Running));
    assert!(family.said().contains("which is Running: restore the spec"), "{}", family.said());
    (family.child.held, family.child.message) = (false, String::new());
    family.look();
    assert_eq!(family.told().first(), Some(&Demand::Cancel));
    // It was held again before it read this: it refused, and is asked once more when it is mended.
    family.child.held = true;
    family.look();
    assert_eq!(family.told(), []);
    family.child.held = false;
    family.look();
    assert_eq!(family.told().first(), Some(&Demand::Cancel));
    family.child.cancel_asked = true;
    family.look();
    assert_eq!(family.told(), []);
    family.child_ends(SagaPhase::Cancelled, &[]);
    assert_eq!(family.parent.phase(), SagaPhase::Cancelled);
}

#[test]
fn a_child_that_is_held_is_not_asked_to_turn_back_before_it_is_mended() {
    let mut family = Family::of(with_child(saga()));
    family.child.held = true;
    family.child_is(SagaPhase::Running);
    family.parent.delete();
    family.look();
    assert_eq!(family.told(), []);
    family.child.held = false;
    family.look();
    assert_eq!(family.told(), [compensate("turn-back-1")]);
}

#[test]
fn a_child_that_is_deleted_after_it_completed_is_asked_to_undo_itself() {
    let mut family = Family::of(with_child(saga()));
    family.child_is(SagaPhase::Completed);
    family.child.deleting = true;
    family.parent.annotate("saga.dev/compensate", "the customer called");
    family.look();
    assert_eq!(family.told().first(), Some(&compensate("undo-1")));
}

/// A child that ended, as its own operator looks at it.
fn ended_child() -> World {
    let mut child = World::with(saga().http("a").undo());
    child.parent_holds = true;
    child.run_to_rest();
    assert_eq!((child.phase(), child.finalizer), (SagaPhase::Completed, true));
    child
}

#[test]
fn a_child_that_ended_keeps_its_finalizer_as_long_as_its_parent_does() {
    let mut child = ended_child();
    child.parent_holds = false;
    child.run_to_rest();
    assert!(!child.finalizer, "the parent let go");
    // The parent is undone after its end.
    child.parent_holds = true;
    child.run_to_rest();
    assert!(child.finalizer, "the parent took hold again");
}

#[test]
fn a_child_that_is_deleted_after_its_end_stays_and_is_undone_with_its_parent() {
    let mut child = ended_child();
    child.delete();
    child.run_for(Duration::from_mins(2));
    assert!(!child.gone, "the parent may have to undo it");
    child.annotate("saga.dev/compensate", "@undo-1: undone for saga parent, step tenant");
    child.run_for(Duration::from_mins(2));
    assert_eq!(
        (child.phase(), child.undone(), child.gone),
        (SagaPhase::Compensated, vec!["a"], false)
    );
    // Its parent has read how it ended.
    child.parent_holds = false;
    child.run_to_rest();
    assert!(child.gone);
}

#[test]
fn a_child_whose_time_to_be_kept_is_over_stays_for_its_parent() {
    let mut child = World::with(saga().http("a").undo().ttl(60));
    child.parent_holds = true;
    child.run_for(Duration::from_mins(30));
    assert!(!child.gone && !child.deleting && child.finalizer);
    child.finalizer = false;
    child.run_for(Duration::from_mins(30));
    assert!(
        !child.gone && !child.deleting && child.finalizer,
        "it is not deleted by the write that has it kept"
    );
    child.parent_holds = false;
    child.run_until(|child| child.gone);
    assert!(child.gone);
}

#[test]
fn a_child_that_is_abandoned_is_kept_for_nobody() {
    let mut child = ended_child();
    child.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    child.delete();
    child.run_to_rest();
    assert!(child.gone);
}

#[test]
fn a_child_that_is_gone_cannot_be_undone() {
    let family = Family::that_turns_back();
    let absence = saga_operator::model::observation::Absence {
        seen: true,
        refused: false,
        known_for: Duration::ZERO,
    };
    let children = active_attempts(&family.parent.status())
        .map(|(id, _)| (id, ChildState::Absent(absence)))
        .collect();
    let plan = plan(&family.parent.saga, &family.parent.seen(&children, "me"));
    let Some(StatusWrite::Whole(status)) = plan.status else { panic!("nothing is written") };
    assert_eq!(status.phase, Some(SagaPhase::CompensationFailed));
}

#[test]
fn a_child_may_be_undone_by_an_action_of_its_own() {
    let draft = with_child(saga()).undo();
    let family = Family::of(draft);
    let saga = family.parent.saga.unwrap();
    assert_eq!(saga.steps[0].compensation.as_ref().unwrap().kind(), "http");
}

/// A child saga that follows an earlier one, which was refused twice under its first keys and then
/// did the step.
fn follower() -> World {
    let mut world = World::with(saga().http("a").undo().then_http("b").compensating());
    let keys =
        json!({"a": {"action": 2, "compensation": 1, "mayHaveActed": true}, "b": {"action": 1}});
    world.annotate(ANNOTATION_KEYS, &keys.to_string());
    world
}

#[test]
fn a_child_that_follows_an_earlier_one_goes_on_with_its_keys() {
    let mut world = follower();
    world.run_until(|world| world.is("a", StepPhase::Running));
    // Whoever takes the annotation away, or writes another one, changes nothing any more.
    world.strip(ANNOTATION_KEYS);
    let mut world = world.fails("b", 1);
    world.run_to_rest();
    assert_eq!(
        (world.keys("a", Direction::Action), world.keys("b", Direction::Action)),
        (vec!["2"], vec!["1"])
    );
    assert_eq!(world.keys("a", Direction::Compensation), ["1"]);
    assert_eq!(world.phase(), SagaPhase::Compensated);
}

#[test]
fn what_the_earlier_child_may_have_done_is_undone_where_the_later_one_does_not_get_as_far() {
    let mut world = follower().on("a", vec![not_reached()]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone()),
        (SagaPhase::Compensated, vec!["a"]),
        "nothing was sent now, and something may have been before"
    );
    // Without an earlier one nothing was ever done.
    let mut world = World::with(saga().http("a").undo().then_http("b").compensating())
        .on("a", vec![not_reached()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec![]));
}

#[test]
fn an_annotation_that_says_nothing_sensible_moves_no_keys() {
    for text in [
        "",
        "[]",
        "{\"a\": {\"action\": -1}}",
        "{\"a\": {\"action\": 9007199254740993}}",
        "{\"a\": 1}",
    ] {
        let mut world = World::with(saga().http("a"));
        world.annotate(ANNOTATION_KEYS, text);
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.keys("a", Direction::Action)),
            (SagaPhase::Completed, vec!["0"]),
            "{text}"
        );
    }
}
