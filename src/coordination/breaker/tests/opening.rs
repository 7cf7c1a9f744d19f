//! What opens a circuit, and what counts for that.

use super::*;

#[test]
fn it_opens_at_the_twentieth_call_of_which_half_are_unknown_and_not_before() {
    let mut story = Story::new();
    story.calls(10, CallEnd::Unknown).calls(9, CallEnd::Answered);
    assert_eq!((story.state(), story.counted()), (BreakerState::Closed, (19, 10)));
    story.call(CallEnd::Answered);
    assert_eq!(story.state(), BreakerState::Open { until: story.now + Duration::from_secs(30) });
    assert_eq!((story.counted(), story.circuit.reported(story.now)), ((0, 0), (20, 10)));

    let mut story = Story::new();
    story.calls(11, CallEnd::Answered).calls(9, CallEnd::Unknown);
    assert_eq!((story.state(), story.counted()), (BreakerState::Closed, (20, 9)));
    story.call(CallEnd::Unknown);
    assert_eq!(story.counted(), (21, 10), "less than half");
    story.call(CallEnd::Unknown);
    assert!(story.is_open(), "11 of 22");

    assert!(!Story::new().calls(19, CallEnd::Unknown).is_open());
}

#[test]
fn a_call_counts_for_the_window_and_no_longer() {
    let mut story = Story::new();
    story.calls(19, CallEnd::Unknown).wait(59_999).call(CallEnd::Unknown);
    assert!(story.is_open());

    let mut story = Story::new();
    story.calls(19, CallEnd::Unknown).wait(60_000).call(CallEnd::Unknown);
    assert_eq!((story.state(), story.counted()), (BreakerState::Closed, (1, 1)));

    // It slides: what is older goes by itself, what is younger stays.
    let mut story = Story::new();
    story.calls(10, CallEnd::Unknown).wait(40_000).calls(9, CallEnd::Unknown).wait(20_000);
    assert_eq!(story.counted(), (9, 9));
    story.calls(10, CallEnd::Unknown);
    assert!(!story.is_open());
    story.call(CallEnd::Unknown);
    assert!(story.is_open());
}

#[test]
fn no_answer_opens_it_whatever_it_says_and_what_was_never_sent_counts_neither_way() {
    let mut story = Story::new();
    story.calls(1000, CallEnd::Answered);
    assert_eq!((story.state(), story.counted()), (BreakerState::Closed, (1000, 0)));
    let mut story = Story::new();
    story.calls(19, CallEnd::Unknown).calls(1000, CallEnd::NotSent);
    assert_eq!((story.state(), story.counted()), (BreakerState::Closed, (19, 19)));
}

#[test]
fn answers_are_told_from_what_nobody_knows_and_from_what_never_left() {
    use crate::model::observation::{Answer, Failure};
    let answer = |status| Answer {
        status,
        headers: std::collections::BTreeMap::new(),
        body: "".into(),
        text: String::new(),
        whole: true,
        retry_after: None,
    };
    let of = |status| {
        let progress = CallProgress { may_have_left: true, status: Some(status) };
        CallEnd::of(&End::Answered(std::sync::Arc::new(answer(status))), progress)
    };
    for status in 200..500 {
        assert_eq!(of(status), CallEnd::Answered, "{status}");
    }
    for status in 500..600 {
        assert_eq!(of(status), CallEnd::Unknown, "{status}");
    }
    let unreached = Failure {
        reached: Reached::Nothing,
        permanent: false,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message: String::new(),
    };
    let kept = CallProgress { may_have_left: false, status: None };
    assert_eq!(CallEnd::of(&End::Failed(unreached), kept), CallEnd::NotSent);
    let lost = End::Unknown { message: String::new(), retry_after: None };
    let left = CallProgress { may_have_left: true, ..kept };
    assert_eq!(
        (CallEnd::of(&lost, left), CallEnd::of(&lost, kept)),
        (CallEnd::Unknown, CallEnd::NotSent)
    );
}
