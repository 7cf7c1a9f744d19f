use super::*;
use crate::{
    api::Direction,
    controller::{http::sent::Sent, memory::attempt::never_sent},
    model::observation::Failure,
};

fn key(uid: &str, number: i64) -> AttemptKey {
    let step = "charge".into();
    AttemptKey::new(uid, AttemptId { step, direction: Direction::Action, number })
}

fn unknown() -> End {
    End::Unknown { message: "lost".into(), retry_after: None }
}

/// A request that never ends by itself.
fn endless() -> AbortHandle {
    tokio::spawn(std::future::pending::<()>()).abort_handle()
}

fn end(attempts: &Attempts, key: &AttemptKey) -> Option<End> {
    attempts.look(key, |known| known.end.clone())
}

#[test]
fn a_request_that_ended_is_not_forgotten_because_the_list_of_sagas_is_older_than_its_saga() {
    let attempts = Attempts::default();
    attempts.ended(&key("new", 1), End::Succeeded(None));
    attempts.forget(|_| false);
    assert_eq!(
        end(&attempts, &key("new", 1)),
        Some(End::Succeeded(None)),
        "it would be sent again"
    );
}

#[tokio::test]
async fn only_what_is_neither_active_nor_in_flight_is_forgotten() {
    let attempts = Attempts::default();
    for number in 1..=3 {
        attempts.start(&key("a", number), InFlight::default(), endless);
    }
    attempts.ended(&key("a", 1), unknown());
    attempts.ended(&key("a", 2), unknown());
    attempts.keep_only("a", &[key("a", 2).attempt]);
    assert_eq!(end(&attempts, &key("a", 1)), None);
    assert_eq!(end(&attempts, &key("a", 2)), Some(unknown()));
    assert!(attempts.look(&key("a", 3), |known| known.in_flight().is_some()));
    assert_eq!(attempts.unrecorded_requests(), 2);
    assert!(attempts.has_unrecorded_request("a") && !attempts.has_unrecorded_request("b"));
}

#[tokio::test]
async fn what_was_sent_before_the_end_of_the_process_is_unknown_and_nothing_is_sent_after_it() {
    let attempts = Attempts::default();
    let (left, kept) = (Sent::default(), Sent::default());
    left.has_left();
    attempts.start(&key("a", 1), InFlight { sent: left, ..InFlight::default() }, endless);
    attempts.start(&key("a", 2), InFlight { sent: kept.clone(), ..InFlight::default() }, endless);
    assert_eq!(attempts.abort_all().len(), 2);
    assert!(
        matches!(end(&attempts, &key("a", 1)), Some(End::CalledOff { .. })),
        "it would count as never sent, or cost an attempt"
    );
    assert_eq!(end(&attempts, &key("a", 2)), Some(never_sent()));
    assert!(
        !kept.may_have_left() && kept.forbid(),
        "nothing may leave after it counts as never sent"
    );
    attempts.start(&key("b", 1), InFlight::default(), endless);
    assert!(attempts.look(&key("b", 1), |known| known.in_flight().is_none()));
}

/// The end of an attempt of which nothing could be begun.
fn refused() -> End {
    End::Failed(Failure::not_started("forbidden".into()).permanent())
}

#[tokio::test]
async fn who_leads_no_more_answers_for_requests_alone() {
    let attempts = Attempts::default();
    attempts.start(&key("request", 1), InFlight::default(), endless);
    attempts.ended(&key("request", 1), unknown());
    attempts.refused(&key("request", 1), "the circuit is open".into());
    attempts.ended(&key("pod", 1), refused());
    attempts.refused(&key("pod", 2), "exceeded quota".into());
    assert!(attempts.has_unrecorded_request("request") && !attempts.has_unrecorded_request("pod"));
    attempts.suspend_verdicts();
    attempts.suspend_verdicts();
    assert_eq!(
        (end(&attempts, &key("request", 1)), end(&attempts, &key("pod", 1))),
        (Some(unknown()), None)
    );
    assert!(attempts.look(&key("request", 1), |known| known.refusal.is_some()));
    assert!(!attempts.look(&key("pod", 2), |known| known.is_refused()));
    attempts.resume_verdicts();
    assert!(
        attempts.look(&key("pod", 2), |known| known.is_refused()),
        "nobody led meanwhile: nothing was created"
    );
    assert_eq!(end(&attempts, &key("pod", 1)), Some(refused()));
    attempts.suspend_verdicts();
    attempts.forget_verdicts();
    attempts.resume_verdicts();
    assert!(
        !attempts.look(&key("pod", 2), |known| known.is_refused()),
        "somebody else led meanwhile"
    );
}

#[test]
fn that_nothing_could_be_begun_is_believed_until_something_is_there_that_this_process_did_not_make()
{
    let attempts = Attempts::default();
    let ended = |number, end, child: bool| {
        if child {
            attempts.child_seen(&key("a", number), "mine");
        }
        attempts.ended(&key("a", number), end);
        let before = attempts.known(&key("a", number)).end.is_some();
        attempts.learn(&key("a", number), AttemptFact::Exists);
        (before, attempts.known(&key("a", number)).end.is_some())
    };
    assert_eq!(ended(1, refused(), false), (true, false));
    assert_eq!(ended(2, refused(), true), (true, true), "its own child, which never began");
    assert_eq!(ended(3, unknown(), false), (true, true));
}

#[test]
fn the_end_of_an_earlier_child_says_nothing_of_the_present_one() {
    let attempts = Attempts::default();
    attempts.child_seen(&key("a", 1), "second");
    attempts.child_gone(&key("a", 1), "first", unknown());
    assert_eq!(attempts.look(&key("a", 1), |known| known.gone.clone()), None);
    attempts.child_gone(&key("a", 1), "second", unknown());
    assert_eq!(attempts.look(&key("a", 1), |known| known.gone.clone()), Some(unknown()));
}
