//! What an open circuit lets through, and what closes it.

use super::*;

#[test]
fn open_it_lets_nothing_through_until_its_time_has_passed() {
    let mut story = Story::open();
    let until = story.now + Duration::from_secs(30);
    story.wait(29_999);
    assert_eq!(story.circuit.admit(story.now), Err(BreakerRefusal::Open(until)));
    story.wait(1);
    assert_eq!(story.state(), BreakerState::HalfOpen { probing: false });
}

#[test]
fn half_open_it_lets_one_probe_through_at_a_time() {
    let mut story = Story::half_open();
    let probe = story.circuit.admit(story.now).unwrap();
    assert_eq!(story.circuit.admit(story.now), Err(BreakerRefusal::Probing));
    story.wait(3_600_000);
    assert_eq!(story.circuit.admit(story.now), Err(BreakerRefusal::Probing), "as long as it takes");
    // It gives its place back where nothing was sent.
    story.circuit.ended(probe, CallEnd::NotSent, story.now);
    let probe = story.circuit.admit(story.now).unwrap();
    assert_eq!(story.circuit.admit(story.now), Err(BreakerRefusal::Probing));
    story.circuit.ended(probe, CallEnd::Answered, story.now);
    assert_eq!((story.state(), story.counted()), (BreakerState::Closed, (0, 0)), "it begins anew");
    assert!(!story.calls(19, CallEnd::Unknown).is_open());
}

#[test]
fn a_probe_without_an_answer_opens_it_again_for_as_long() {
    let mut story = Story::half_open();
    story.wait(5000).call(CallEnd::Unknown);
    let until = story.now + Duration::from_secs(30);
    assert_eq!(story.state(), BreakerState::Open { until });
    story.wait(30_000).call(CallEnd::Answered);
    assert_eq!(story.state(), BreakerState::Closed);
}

#[test]
fn what_was_sent_before_it_opened_says_nothing_of_it_afterwards() {
    let mut story = Story::new();
    let mut early: Vec<_> = (0..60).map(|_| story.circuit.admit(story.now).unwrap()).collect();
    let mut end = |story: &mut Story, count: usize, end| {
        early.drain(..count).for_each(|ticket| story.circuit.ended(ticket, end, story.now));
    };
    end(&mut story, 20, CallEnd::Unknown);
    assert!(story.is_open());
    end(&mut story, 10, CallEnd::Answered);
    assert!(story.is_open(), "only a probe closes it");
    story.wait(30_000);
    end(&mut story, 10, CallEnd::Answered);
    assert_eq!(
        story.circuit.admit(story.now).map(|ticket| ticket.probe),
        Ok(true),
        "none of them was the probe"
    );
    story.circuit.ended(
        Ticket { term: story.circuit.term, probe: true },
        CallEnd::Answered,
        story.now,
    );
    end(&mut story, 20, CallEnd::Unknown);
    assert_eq!((story.state(), story.counted()), (BreakerState::Closed, (0, 0)));
}

#[test]
fn what_nothing_may_keep_back_goes_through_and_is_the_probe_where_there_is_none() {
    let mut story = Story::new();
    let ticket = story.circuit.insist(story.now);
    story.circuit.ended(ticket, CallEnd::Unknown, story.now);
    assert_eq!(story.counted(), (1, 1), "it counts as any other");

    let mut story = Story::open();
    let ticket = story.circuit.insist(story.now);
    story.circuit.ended(ticket, CallEnd::Answered, story.now);
    assert!(story.is_open());

    let mut story = Story::half_open();
    let (probe, beside) = (story.circuit.insist(story.now), story.circuit.insist(story.now));
    assert_eq!(story.circuit.admit(story.now), Err(BreakerRefusal::Probing));
    story.circuit.ended(beside, CallEnd::Unknown, story.now);
    story.circuit.ended(probe, CallEnd::Answered, story.now);
    assert_eq!(story.state(), BreakerState::Closed);
}
