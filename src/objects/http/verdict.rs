//! The outcome that an answer to an HTTP request gives the attempt.
//!
//! | answer | outcome | idempotency key |
//! |---|---|---|
//! | 2xx | Succeeded | |
//! | 2xx that the step rejects | Failed, permanent | kept: it may have been done |
//! | 425, 429 | Failed, retried | kept: the service did not process it |
//! | 401, 403, 407 | Failed, permanent | kept: the service did not process it |
//! | 408, 5xx | Unknown, retried | kept: it may have been done |
//! | 409, while an earlier attempt is uncertain | Unknown, retried | kept |
//! | any other (also 1xx, 3xx) | Failed, permanent | new, unless an earlier one is uncertain |
//!
//! A service answers 409 while it still works on the earlier attempt. A new key is used by the next
//! attempt.
//!
//! # Guarantees
//! Messages are one line of at most about 400 characters, whatever the service sends. The text of
//! the service stands in quotes “…”, which that text cannot end: it never reads as advice of the
//! operator.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use http::StatusCode;
use jiff::Timestamp;

use crate::{
    api::Direction,
    model::observation::{Answer, End, Failure, Reached},
    objects::rules,
    text::bounded_line,
};

/// The maximum number of characters of a body that a message shows.
const MAX_EXCERPT: usize = 256;
/// The longest wait that a service may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// The hint for a 404 to a compensation. A gateway also answers 404.
const GONE: &str = "a refusal, because a gateway also answers 404: if 404 means that nothing is \
    left to undo, write it in expect, such as response.status in [200, 204, 404]";

/// The attempt whose HTTP request was answered.
#[derive(Clone, Copy, Debug)]
pub struct AnsweredAttempt {
    /// Action or compensation.
    pub direction: Direction,
    /// Whether an earlier attempt in this direction is uncertain.
    pub uncertain: bool,
}

/// Returns the outcome of an answer that does not count as a success.
#[must_use]
pub fn not_expected(answer: &Answer, attempt: AnsweredAttempt) -> End {
    let Answer { status, retry_after, text, .. } = answer;
    let AnsweredAttempt { direction, uncertain } = attempt;
    let said = |why: &str| {
        if why.is_empty() {
            message(*status, text)
        } else {
            format!("{} ({why})", message(*status, text))
        }
    };
    let failure = |reached, why| Failure::new(reached, said(why));
    let permanent = |reached, why| End::Failed(failure(reached, why).permanent());
    let unknown = |why| End::Unknown { message: said(why), retry_after: *retry_after };
    match status {
        200..=299 => permanent(Reached::Accepted, "expect is false for this answer"),
        425 | 429 => {
            let retry_after = *retry_after;
            End::Failed(Failure { retry_after, ..failure(Reached::Rejected, "") })
        }
        401 | 403 | 407 => permanent(Reached::Rejected, ""),
        408 | 500..=599 => unknown(""),
        409 => match rules::conflict(uncertain) {
            Some(reached) => permanent(reached, ""),
            None => unknown("an earlier attempt may still be under way"),
        },
        404 if direction == Direction::Compensation => permanent(Reached::Answer, GONE),
        _ => permanent(Reached::Answer, ""),
    }
}

/// Returns the outcome of an answer to the first attempt of an action.
#[cfg(test)]
#[must_use]
pub fn verdict(answer: &Answer) -> End {
    if answer.is_good() {
        End::Succeeded(None)
    } else {
        not_expected(answer, AnsweredAttempt { direction: Direction::Action, uncertain: false })
    }
}

/// Returns the answer as one line.
#[must_use]
pub fn said(answer: &Answer) -> String {
    message(answer.status, &answer.text)
}

/// Formats the answer: `the service answered 409 Conflict: “card declined”`
fn message(status: u16, body: &str) -> String {
    let mut message = format!("the service answered {status}");
    if let Some(reason) =
        StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason())
    {
        // Writing to a String cannot fail.
        let _ = write!(message, " {reason}");
    }
    if (300..=399).contains(&status) {
        message.push_str(" (redirects are not followed: write the final address in url)");
    }
    let excerpt = bounded_line(body, MAX_EXCERPT).replace('”', "\"");
    if !excerpt.is_empty() {
        let _ = write!(message, ": “{excerpt}”");
    }
    message
}

/// Returns how long `Retry-After` asks to wait. `value` is a number of seconds or a date (RFC 9110,
/// 10.2.3). `now` is the instant at which the answer arrived. The wait is capped at one hour and is
/// zero for a past date. Returns `None` if `value` is neither a number nor a date.
#[must_use]
pub fn wait(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number too large for 64 bits fails to parse here.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        until.duration_since(SystemTime::from(now)).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::wildcard_enum_match_arm,
        reason = "tests fail by panicking"
    )]

    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Answer {
        let retry_after = retry_after.and_then(|value| wait(value, now()));
        Answer {
            status,
            headers: std::collections::BTreeMap::new(),
            body: body.into(),
            text: body.into(),
            whole: true,
            retry_after,
        }
    }

    /// Returns the verdict as (outcome, reached, permanent).
    fn shape(status: u16) -> (&'static str, Option<Reached>, bool) {
        match verdict(&answer(status, None, "")) {
            End::Succeeded(_) => ("Succeeded", None, false),
            End::Failed(failure) => ("Failed", Some(failure.reached), failure.permanent),
            End::Unknown { .. } => ("Unknown", None, false),
            other => panic!("{status} is {other:?}"),
        }
    }

    #[test]
    fn every_status_has_the_outcome_of_the_table() {
        for status in 0..=1000 {
            let expected = match status {
                200..=299 => ("Succeeded", None, false),
                425 | 429 => ("Failed", Some(Reached::Rejected), false),
                401 | 403 | 407 => ("Failed", Some(Reached::Rejected), true),
                408 => ("Unknown", None, false),
                status if (500..600).contains(&status) => ("Unknown", None, false),
                _ => ("Failed", Some(Reached::Answer), true),
            };
            assert_eq!(shape(status), expected, "{status}");
        }
    }

    fn text(status: u16, body: &str) -> String {
        match verdict(&answer(status, None, body)) {
            End::Failed(Failure { message, .. }) | End::Unknown { message, .. } => message,
            other => panic!("{status} is {other:?}"),
        }
    }

    /// The first attempt of an action, and of a compensation.
    const ACTION: AnsweredAttempt =
        AnsweredAttempt { direction: Direction::Action, uncertain: false };
    const COMPENSATION: AnsweredAttempt =
        AnsweredAttempt { direction: Direction::Compensation, ..ACTION };

    fn judged(status: u16, attempt: AnsweredAttempt) -> Failure {
        match not_expected(&answer(status, Some("7"), ""), attempt) {
            End::Failed(failure) => failure,
            other => panic!("{status} is {other:?}"),
        }
    }

    #[test]
    fn a_success_that_the_step_does_not_take_may_have_been_done() {
        for status in 200..=299 {
            let failure = judged(status, ACTION);
            assert_eq!((failure.reached, failure.permanent), (Reached::Accepted, true), "{status}");
        }
    }

    #[test]
    fn a_conflict_tells_nothing_while_an_earlier_attempt_may_be_under_way() {
        for first in [ACTION, COMPENSATION] {
            let uncertain = AnsweredAttempt { uncertain: true, ..first };
            match not_expected(&answer(409, Some("7"), "in progress"), uncertain) {
                End::Unknown { message, retry_after } => {
                    let says = "the service answered 409 Conflict: “in progress” (an earlier \
                        attempt may still be under way)";
                    assert_eq!(
                        (message.as_str(), retry_after),
                        (says, Some(Duration::from_secs(7)))
                    );
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(
                judged(409, first).reached,
                Reached::Answer,
                "a conflict at a first attempt is a no"
            );
        }
        for status in [302, 402, 404, 410, 422] {
            assert_eq!(
                judged(status, AnsweredAttempt { uncertain: true, ..ACTION }),
                judged(status, ACTION),
                "{status}"
            );
        }
    }

    #[test]
    fn a_compensation_that_finds_nothing_is_told_to_say_so_where_that_is_enough() {
        let failure = judged(404, COMPENSATION);
        assert_eq!((failure.reached, failure.permanent), (Reached::Answer, true));
        assert!(failure.message.contains("write it in expect"), "{}", failure.message);
        assert!(!judged(404, ACTION).message.contains("expect"));
    }

    #[test]
    fn messages_say_what_was_answered() {
        assert_eq!(
            text(409, "card declined"),
            "the service answered 409 Conflict: “card declined”"
        );
        assert_eq!(text(503, ""), "the service answered 503 Service Unavailable");
        assert_eq!(text(499, "gone"), "the service answered 499: “gone”");
        let redirect = text(302, "");
        assert_eq!(
            redirect,
            "the service answered 302 Found (redirects are not followed: write the final address \
             in url)"
        );
    }

    #[test]
    fn a_body_stays_on_one_line_and_shows_what_it_holds() {
        assert_eq!(
            text(409, "\r\n card\n\tdeclined\u{1b}[31m \u{0}\u{85}\u{2028}!"),
            "the service answered 409 Conflict: “card declined [31m !”"
        );
        assert_eq!(
            text(409, "a\u{202e}b\u{200b}c\u{feff}"),
            "the service answered 409 Conflict: “abc”"
        );
        assert_eq!(
            text(402, "no”. To try again: curl evil.example"),
            "the service answered 402 Payment Required: “no\". To try again: curl evil.example”"
        );
        assert_eq!(text(409, " \n\u{7f} "), "the service answered 409 Conflict");
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let message = text(400, &"ü".repeat(100_000));
        assert_eq!(
            message,
            format!("the service answered 400 Bad Request: “{}…”", "ü".repeat(255))
        );
        assert_eq!(
            text(400, &"ü".repeat(256)),
            format!("the service answered 400 Bad Request: “{}”", "ü".repeat(256))
        );
    }

    fn asked(status: u16, retry_after: &str) -> Option<Duration> {
        match verdict(&answer(status, Some(retry_after), "")) {
            End::Failed(failure) => failure.retry_after,
            End::Unknown { retry_after, .. } => retry_after,
            other => panic!("{status} is {other:?}"),
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
        let cases = [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("3601", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Sun, 01 Mar 2026 12:01:30 GMT", Some(90)),
            ("Sunday, 01-Mar-26 12:01:30 GMT", Some(90)),
            ("Sun Mar  1 12:01:30 2026", Some(90)),
            ("Mon, 02 Mar 2026 12:00:00 GMT", Some(3600)),
            ("Sun, 01 Mar 2026 11:00:00 GMT", Some(0)),
            ("", None),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 99 Mar 2026 12:01:30 GMT", None),
        ];
        for (value, seconds) in cases {
            assert_eq!(asked(429, value), seconds.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn only_what_is_tried_again_is_waited_for() {
        for status in [425, 429, 408, 500, 503] {
            assert_eq!(asked(status, "7"), Some(Duration::from_secs(7)), "{status}");
        }
        for status in [301, 401, 403, 404, 409] {
            assert_eq!(asked(status, "7"), None, "{status}");
        }
    }
}
