//! The requests that users make by annotation: which requests are new, and the record of each
//! answer.
//!
//! The write that acts on a plain value also records it under a number. Afterwards, a patch removes
//! the annotation and sets `saga.dev/handled` to that number. If the process dies in between, the
//! record has a higher number than `saga.dev/handled` and the same value, so the annotation is only
//! removed. A value with a token stays in place. A plain value that something would put back is
//! refused and also stays in place. The hashes of both are remembered.
//!
//! # Guarantees
//! Each request is acted on once, whatever crashes or writes happen between its record and the
//! removal of its annotation. A value that was refused and left in place is not acted on when a
//! manifest no longer holds it: a user who removes the manifest's marks asks for nothing.
//!
//! # Caveats
//! If somebody removes `saga.dev/handled`, it is set again. The same plain value counts as the old
//! one if it is given before `saga.dev/handled` is set again: it is removed and not acted on.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::{
    api::{RequestAction, RequestBody, RequestRecord, RequestResult, SagaStatus, UserRequest},
    engine::rules,
    model::{
        input::PlanInput,
        plan::{Effect, Notice},
    },
    text::clip,
};

/// The number of records that are kept. It exceeds the number of annotations, so the newest record
/// of each annotation is always kept.
const KEPT: usize = 10;
/// The most token hashes that are remembered.
const MAX_TOKENS: usize = 128;
/// No saga gets this many requests. If a number is higher and no record has it, it was written by
/// hand.
const MAX_NUMBER: i64 = 1 << 50;
/// The most bytes of a value that a record shows.
const MAX_VALUE: usize = 128;
/// The most characters of a record's message.
const MAX_MESSAGE: usize = 400;

const _: () =
    assert!(RequestAction::ALL.len() < KEPT, "the newest record of each annotation must be kept");

/// A request that was not answered yet.
pub(in crate::engine) struct NewRequest<'a> {
    pub(in crate::engine) asked: &'a UserRequest,
    /// The hash to remember: the request was handled and its annotation stays in place, or a value
    /// that was left in place is removed now.
    remember: Option<String>,
    /// The answer, if it is known without judging the request.
    answer: Option<RequestAnswer>,
}

/// The result of a request, and its message.
pub(in crate::engine) type RequestAnswer = (RequestResult, String);

/// The requests of the saga, sorted into new and old ones.
pub(in crate::engine) struct Inbox<'a> {
    /// The new requests, in the order in which they are handled.
    pub(in crate::engine) new: Vec<NewRequest<'a>>,
    /// Annotations whose requests were answered already and which still have to be removed.
    old: Vec<RequestAction>,
}

/// Returns whether a new request asks to try again a saga that was not accepted. A requested
/// recheck ignores the cached results of earlier trials.
#[must_use]
pub fn asks_to_check_again(asked: &[UserRequest], handled: i64, status: &SagaStatus) -> bool {
    sort(asked, handled, status)
        .new
        .iter()
        .any(|request| request.answer.is_none() && is_to_check_again(request.asked))
}

/// Returns whether a new request asks to cancel the saga.
#[must_use]
pub fn asks_to_cancel(asked: &[UserRequest], handled: i64, status: &SagaStatus) -> bool {
    let cancels =
        |asked: &UserRequest| asked.action == RequestAction::Cancel && asked.body().is_ok();
    sort(asked, handled, status)
        .new
        .iter()
        .any(|request| request.answer.is_none() && cancels(request.asked))
}

/// Returns whether a request asks for a saga that was not accepted to be tried again.
pub(in crate::engine) fn is_to_check_again(asked: &UserRequest) -> bool {
    asked.action == RequestAction::Retry && asked.body() == Ok(RequestBody::EveryStep)
}

/// Sorts the annotations into new requests and requests that were answered already. `handled`: the
/// value of the saga's `saga.dev/handled` annotation.
pub(in crate::engine) fn sort<'a>(
    asked: &'a [UserRequest],
    handled: i64,
    status: &SagaStatus,
) -> Inbox<'a> {
    let mut inbox = Inbox { new: Vec::new(), old: Vec::new() };
    let handled = known_handled(handled, status);
    for asked in asked.iter().filter(|asked| !asked.is_empty()) {
        let newest = status.requests.iter().rev().find(|record| record.action == asked.action);
        let same = newest.filter(|newest| newest.value_hash == asked.hash());
        let to_remember = inbox.new.iter().filter(|request| request.remember.is_some()).count();
        let full = status.handled_tokens.len().saturating_add(to_remember) >= MAX_TOKENS;
        let known =
            |hash: &str| rules::is_remembered(&status.handled_tokens, |known| known == hash);
        // Whether the value was refused and left in place, and has since been neither removed nor
        // asked for. (Hashes are computed only if there is something to compare with, because this
        // runs in every reconcile.)
        let before_another =
            || same.is_none() && known(&asked.left_hash()) && !known(&asked.freed_hash());
        let left = newest.is_some_and(|newest| {
            rules::is_remembered([&newest.value_hash], |known| known == asked.left_hash())
                || (!status.handled_tokens.is_empty() && before_another())
        });
        let refused = |why: String| Some((RequestResult::Refused, why));
        if let Some((token, whole)) = asked.token_hashes() {
            let used = rules::is_remembered(&status.handled_tokens, |known| {
                known.split('-').next() == Some(&token)
            });
            if known(&whole) || (full && same.is_some()) {
                continue;
            }
            let answer = if full {
                refused(format!(
                    "{MAX_TOKENS} tokens were handled, and no more are remembered: give a plain \
                     value by kubectl annotate --overwrite"
                ))
            } else if used {
                refused("this token was handled with another value: choose a new token".into())
            } else if status.phase.is_none() {
                Some((
                    RequestResult::Ignored,
                    "the request is older than this saga, which was restored or copied".into(),
                ))
            } else {
                None
            };
            inbox.new.push(NewRequest { asked, remember: Some(whole).filter(|_| !full), answer });
        } else if asked.reapplied {
            if !left {
                let remember = Some(asked.left_hash()).filter(|hash| !full && !known(hash));
                inbox.new.push(NewRequest { asked, remember, answer: refused(reapplied(asked)) });
            }
        } else if left {
            let remember = Some(asked.freed_hash()).filter(|hash| !full && !known(hash));
            inbox.new.push(NewRequest { asked, remember, answer: refused(left_behind(asked)) });
        } else if rules::is_answered(same.map(|same| same.number), handled) {
            inbox.old.push(asked.action);
        } else {
            inbox.new.push(NewRequest { asked, remember: None, answer: None });
        }
    }
    inbox
}

fn reapplied(asked: &UserRequest) -> String {
    let (key, value) = (asked.action.annotation(), shown(&asked.value));
    let declared = if asked.action.takes_reason() {
        format!("@TOKEN: {value}")
    } else {
        format!("{value}@TOKEN")
    };
    format!(
        "an applied manifest holds this value and would repeat the request at every sync: write \
         {key}: \"{declared}\" there, with a new TOKEN for each request, or the same by kubectl \
         annotate --overwrite"
    )
}

fn left_behind(asked: &UserRequest) -> String {
    let (key, value) = (asked.action.annotation(), shown(&asked.value));
    format!(
        "this value was refused while an applied manifest held it, and such a value is never \
         carried out later. The operator removes the annotation this time: ask again by kubectl \
         annotate {key}={value}"
    )
}

impl Inbox<'_> {
    /// Answers each new request in order and records the answers. `judge` answers the requests
    /// whose answers are not known yet.
    pub(in crate::engine) fn answer(
        self,
        input: &PlanInput<'_>,
        status: &mut SagaStatus,
        mut judge: impl FnMut(&mut SagaStatus, &UserRequest) -> RequestAnswer,
    ) -> (Vec<Effect>, Vec<(RequestAction, RequestResult)>) {
        let Self { new, old } = self;
        let known = known_handled(input.requests.handled, status);
        let (mut effects, mut tally, mut take_away) = (Vec::new(), Vec::new(), old);
        for NewRequest { asked, remember, answer } in new {
            let (result, message) = answer.unwrap_or_else(|| judge(status, asked));
            let number = next_number(status, known);
            let record = RequestRecord {
                number,
                action: asked.action,
                value: shown(&asked.value),
                value_hash: if asked.is_left() { asked.left_hash() } else { asked.hash() },
                token: asked.token().map(str::to_owned),
                at: MicroTime(input.now),
                result,
                message: clip(&message, MAX_MESSAGE),
            };
            effects.push(Effect::Publish(notice(&record)));
            tally.push((asked.action, result));
            status.requests.push(record);
            // If there is no room for the hash, the record shows that the request was handled.
            status.handled_tokens.extend(remember);
            if asked.token().is_none() && !asked.is_left() {
                take_away.push(asked.action);
            }
        }
        forget_oldest(&mut status.requests);
        let handled = status
            .requests
            .iter()
            .filter(|record| record.token.is_none())
            .map(|record| record.number)
            .max()
            .unwrap_or_default();
        if rules::is_taken_away(&take_away, handled, known) {
            effects.push(Effect::TakeAway { annotations: take_away, handled: handled.max(known) });
        }
        (effects, tally)
    }
}

/// Returns the highest number of a plain request whose annotation was handled and removed. Returns
/// 0 if the stored number was written by hand and leaves no room to count on.
fn known_handled(handled: i64, status: &SagaStatus) -> i64 {
    let given = status.requests.iter().any(|record| record.number >= handled);
    if given || handled < MAX_NUMBER { handled } else { 0 }
}

/// Returns a number one higher than every number that was given, even if the status was lost since.
fn next_number(status: &SagaStatus, handled: i64) -> i64 {
    status.requests.iter().map(|record| record.number).fold(handled, i64::max).saturating_add(1)
}

/// Keeps the last ten records, and the newest record of each annotation. That record shows whether
/// the value in the annotation is new.
fn forget_oldest(records: &mut Vec<RequestRecord>) {
    while records.len() > KEPT {
        let newer = |place: usize, action| {
            records.iter().skip(place.saturating_add(1)).any(|later| later.action == action)
        };
        let Some(place) =
            records.iter().enumerate().position(|(place, record)| newer(place, record.action))
        else {
            return;
        };
        records.remove(place);
    }
}

fn notice(record: &RequestRecord) -> Notice {
    let (warning, reason) = match record.result {
        RequestResult::Accepted => (false, "RequestAccepted"),
        RequestResult::Refused => (true, "RequestRefused"),
        RequestResult::Ignored => (true, "RequestIgnored"),
        #[cfg(feature = "next")]
        RequestResult::Noted => (false, "RequestAccepted"),
    };
    Notice {
        warning,
        reason,
        message: format!("{}={}: {}", record.action.annotation(), record.value, record.message),
    }
}

/// Returns a value as a record shows it: in one line, at most 128 bytes.
fn shown(value: &str) -> String {
    let mut text: String = value
        .chars()
        .take(MAX_VALUE)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    text.truncate(text.floor_char_boundary(MAX_VALUE));
    text
}
