//! The grammar of the annotations by which users make requests: `saga.dev/retry`,
//! `saga.dev/skip`, `saga.dev/compensate`, …
//!
//! | annotation | value | with a token |
//! |---|---|---|
//! | `saga.dev/retry` | step names separated by commas, or `*` | `ship@2026-11-24` |
//! | `saga.dev/skip` | step names separated by commas; | `ship@2026-11-24` |
//! | | one step with its outputs: `ship={"tracking":"T-1"}` | |
//! | `saga.dev/settle` | one step and its outcome: | `charge=Failed@2026-11-24` |
//! | | `charge=Failed`, `charge=Succeeded`, `charge=Succeeded={"id":7}` | |
//! | `saga.dev/approve` | step names separated by commas | `release@2026-11-24` |
//! | `saga.dev/reject` | step names separated by commas | `release@2026-11-24` |
//! | `saga.dev/cancel`, `saga.dev/compensate` | a reason | `@2026-11-24: the customer called` |
//! | `saga.dev/pause`, `saga.dev/resume` | a reason | `@2026-11-24: the customer called` |
//!
//! A value without a token is a command: the operator handles the annotation once and removes it.
//! A value with a token, `[A-Za-z0-9._-]{1,63}`, is a declaration: the operator handles the
//! annotation once for its token and leaves it in place, so that the annotation can stand in Git.
//! A blank value asks for nothing, as a template may write it.
//!
//! # Guarantees
//! Every text is accepted as input: it parses, or a sentence says what to write instead. Reading is
//! linear in the length of the text.

use std::{collections::BTreeSet, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    json::{MAX_OUTPUT_DEPTH, as_stored, depth},
    names::{is_dns_label, is_token},
};
use crate::digest::short_hash;

/// The annotation with the highest number of a request without a token that was handled and whose
/// annotation was removed.
pub const HANDLED: &str = "saga.dev/handled";
/// The most characters of a wrong name that a message repeats.
const REPEATED: usize = 63;
/// The most bytes of one step's outputs.
pub const MAX_OUTPUTS: usize = 4096;
/// The number of hexadecimal digits of a hash of a value or a token: 64 bits.
const HASH_DIGITS: usize = 16;

/// What a user can ask for, in the order in which several requests are handled.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum RequestAction {
    /// Stop active attempts, and undo nothing.
    Cancel,
    /// Settle an attempt whose outcome only a user can find out.
    Settle,
    /// Undo the steps that did something, or may have.
    Compensate,
    /// Start nothing new.
    Pause,
    /// Continue after a pause.
    Resume,
    /// Reject an approval.
    Reject,
    /// Approve an approval.
    Approve,
    /// Continue without a step.
    Skip,
    /// Retry steps.
    Retry,
}

impl RequestAction {
    /// Every request, in the order in which several requests are handled.
    pub const ALL: [Self; 9] = [
        Self::Cancel,
        Self::Settle,
        Self::Compensate,
        Self::Pause,
        Self::Resume,
        Self::Reject,
        Self::Approve,
        Self::Skip,
        Self::Retry,
    ];

    /// Returns the name of the request, as in records and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Settle => "settle",
            Self::Compensate => "compensate",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Reject => "reject",
            Self::Approve => "approve",
            Self::Skip => "skip",
            Self::Retry => "retry",
        }
    }

    /// Returns the key of the annotation.
    #[must_use]
    pub const fn annotation(self) -> &'static str {
        match self {
            Self::Cancel => "saga.dev/cancel",
            Self::Settle => "saga.dev/settle",
            Self::Compensate => "saga.dev/compensate",
            Self::Pause => "saga.dev/pause",
            Self::Resume => "saga.dev/resume",
            Self::Reject => "saga.dev/reject",
            Self::Approve => "saga.dev/approve",
            Self::Skip => "saga.dev/skip",
            Self::Retry => "saga.dev/retry",
        }
    }

    /// Returns whether the request is about the whole saga and takes a reason, not steps.
    #[must_use]
    pub const fn takes_reason(self) -> bool {
        match self {
            Self::Cancel | Self::Compensate | Self::Pause | Self::Resume => true,
            Self::Settle | Self::Reject | Self::Approve | Self::Skip | Self::Retry => false,
        }
    }
}

impl fmt::Display for RequestAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An annotation that makes a request, as written on the saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRequest {
    /// What is asked for.
    pub action: RequestAction,
    /// The value of the annotation.
    pub value: String,
    /// Whether the value is held by something that would set it again: the configuration last
    /// applied by `kubectl apply`, or a field manager that uses server-side apply.
    pub reapplied: bool,
}

impl UserRequest {
    /// Returns whether the value asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.trim().is_empty()
    }

    /// Returns the token at the end (steps) or the beginning (reasons) of the value.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.split().1
    }

    /// Returns what the value asks for.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what to write instead.
    pub fn body(&self) -> Result<RequestBody, String> {
        let (body, _) = self.split();
        if self.action.takes_reason() {
            // What was meant as a declaration must not be carried out as a command.
            if body.trim_start().starts_with('@') {
                let says = "a value that begins with @ begins with a token: write @TOKEN: the \
                    reason, such as @2026-11-24: the customer called";
                return Err(says.into());
            }
            return Ok(RequestBody::Saga(body.trim().to_owned()));
        }
        match (self.action, body.split_once('=')) {
            (RequestAction::Retry, _) if body.trim() == "*" => Ok(RequestBody::EveryStep),
            (RequestAction::Skip, Some((name, outputs))) => {
                with_outputs(RequestAction::Skip, name, outputs)
                    .map(|(name, outputs)| RequestBody::StepWithOutputs(name, outputs))
            }
            (RequestAction::Settle, word) => {
                settled(word).map(|(name, word)| RequestBody::Settled(name, word))
            }
            (_, _) => steps(self.action, body).map(RequestBody::Steps),
        }
    }

    /// Returns a 64-bit hash of the whole value, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        short_hash(&["value", self.action.as_str(), &self.value], HASH_DIGITS)
    }

    /// Returns a hash of the token; and the same hash with a dash and a hash of what was asked for
    /// with the token.
    #[must_use]
    pub fn token_hashes(&self) -> Option<(String, String)> {
        let (body, token) = self.split();
        let token = short_hash(&["token", self.action.as_str(), token?], HASH_DIGITS);
        let whole = format!("{token}-{}", short_hash(&["body", body], HASH_DIGITS));
        Some((token, whole))
    }

    /// Returns whether the value has no token and would be set again: the request is refused, and
    /// the annotation is left in place.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.reapplied && self.token().is_none()
    }

    /// Returns a 64-bit hash of the whole value of an annotation that was left in place.
    #[must_use]
    pub fn left_hash(&self) -> String {
        short_hash(&["held", self.action.as_str(), &self.value], HASH_DIGITS)
    }

    /// Returns a 64-bit hash of the whole value of an annotation that was left in place and removed
    /// later: from then on the same value may be requested again.
    #[must_use]
    pub fn freed_hash(&self) -> String {
        short_hash(&["freed", self.action.as_str(), &self.value], HASH_DIGITS)
    }

    /// Returns what is asked for, and the token.
    fn split(&self) -> (&str, Option<&str>) {
        let value = self.value.trim();
        let found = if self.action.takes_reason() {
            value.strip_prefix('@').and_then(|rest| {
                let (token, reason) = rest.split_once(':').unwrap_or((rest, ""));
                is_token(token).then_some((reason, token))
            })
        } else {
            value.rsplit_once('@').filter(|(_, token)| is_token(token))
        };
        found.map_or((value, None), |(body, token)| (body, Some(token)))
    }
}

/// What a value asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// These steps, each once, in the order of the text.
    Steps(Vec<String>),
    /// Every step to which the request applies.
    EveryStep,
    /// This step, with the outputs that the step would have had.
    StepWithOutputs(String, Map<String, Value>),
    /// The outcome of this step's attempt, which only a user can find out.
    Settled(String, ManualOutcome),
    /// The whole saga, for this reason.
    Saga(String),
}

/// The outcome that a user names for an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManualOutcome {
    /// Nothing was done, and nothing will be.
    Failed,
    /// The work was done, with these outputs.
    Succeeded(Option<Map<String, Value>>),
}

/// Parses one step and its outcome: `charge=Failed`, `charge=Succeeded={"id":7}`.
fn settled(word: Option<(&str, &str)>) -> Result<(String, ManualOutcome), String> {
    const EXAMPLE: &str = "write saga.dev/settle=charge=Failed where nothing was done and nothing \
        will be, or saga.dev/settle=charge=Succeeded, with the outputs that it would have had, if \
        any: charge=Succeeded={\"id\":7}";
    let Some((name, word)) = word else {
        return Err(format!("it takes a step and its outcome: {EXAMPLE}"));
    };
    if name.contains(',') {
        return Err(format!("one step is settled at a time: {EXAMPLE}"));
    }
    let name = steps(RequestAction::Settle, name)?.concat();
    match word.trim().split_once('=').map_or((word, None), |(word, outputs)| (word, Some(outputs)))
    {
        (word, None) if word.trim() == "Failed" => Ok((name, ManualOutcome::Failed)),
        (word, None) if word.trim() == "Succeeded" => Ok((name, ManualOutcome::Succeeded(None))),
        (word, Some(outputs)) if word.trim() == "Succeeded" => {
            let (name, outputs) = with_outputs(RequestAction::Settle, &name, outputs)?;
            Ok((name, ManualOutcome::Succeeded(Some(outputs))))
        }
        (_, _) => Err(format!("a step is settled as Failed or as Succeeded: {EXAMPLE}")),
    }
}

/// Parses one step with outputs: `ship={"tracking":"T-1"}`.
fn with_outputs(
    action: RequestAction,
    name: &str,
    outputs: &str,
) -> Result<(String, Map<String, Value>), String> {
    const EXAMPLE: &str = "write one step and its outputs as a JSON object, such as \
        saga.dev/skip=ship={\"tracking\":\"T-1\"}";
    if name.contains(',') {
        return Err(format!("outputs are given for one step at a time: {EXAMPLE}"));
    }
    let name = steps(action, name)?.concat();
    let most = format!("the outputs of a step may have at most {MAX_OUTPUTS} bytes");
    if outputs.len() > MAX_OUTPUTS {
        return Err(most);
    }
    let outputs = serde_json::from_str::<Value>(outputs)
        .map_err(|error| format!("the outputs are no JSON ({error}): {EXAMPLE}"))?;
    if depth(&outputs) > MAX_OUTPUT_DEPTH {
        return Err(format!(
            "the outputs are nested deeper than {MAX_OUTPUT_DEPTH} times: {EXAMPLE}"
        ));
    }
    // As it is stored, where a number may be longer than it was written.
    let outputs = as_stored(outputs);
    if outputs.to_string().len() > MAX_OUTPUTS {
        return Err(most);
    }
    let Value::Object(outputs) = outputs else {
        return Err(format!("the outputs are no JSON object: {EXAMPLE}"));
    };
    Ok((name, outputs))
}

/// Parses the names of steps. A repeated name counts once.
fn steps(action: RequestAction, body: &str) -> Result<Vec<String>, String> {
    let example = action.annotation();
    let all = if action == RequestAction::Retry { ", or * for all that failed" } else { "" };
    let mut names = Vec::new();
    let mut seen = BTreeSet::new();
    for name in body.split(',').map(str::trim) {
        if name.is_empty() {
            return Err(format!(
                "a step's name is missing: write {example}=ship, or several steps separated by \
                 commas{all}"
            ));
        }
        if name.contains('=') {
            return Err(format!(
                "outputs are given only with saga.dev/skip: write only the step's name, such as \
                 {example}=ship"
            ));
        }
        if name == "*" {
            return Err(if action == RequestAction::Retry {
                "* stands for all steps that failed: write it alone".into()
            } else {
                format!("* is not taken here: name the steps, such as {example}=ship")
            });
        }
        if !is_dns_label(name) {
            let name: String =
                name.chars().filter(|letter| !letter.is_control()).take(REPEATED).collect();
            return Err(format!(
                "`{name}` is no step's name: write {example}=ship, or several steps separated by \
                 commas{all}"
            ));
        }
        if seen.insert(name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(action: RequestAction, value: &str) -> UserRequest {
        UserRequest { action, value: value.into(), reapplied: false }
    }

    fn retry(value: &str) -> UserRequest {
        asked(RequestAction::Retry, value)
    }

    #[test]
    fn steps_are_named_one_by_one_or_all_at_once() {
        assert_eq!(retry("ship").body(), Ok(RequestBody::Steps(vec!["ship".into()])));
        assert_eq!(
            retry(" ship, charge-card,ship ").body(),
            Ok(RequestBody::Steps(vec!["ship".into(), "charge-card".into()]))
        );
        assert_eq!(retry("*").body(), Ok(RequestBody::EveryStep));
        assert_eq!(retry("*@v2").body(), Ok(RequestBody::EveryStep));
        assert_eq!(
            asked(RequestAction::Skip, "ship@v2").body(),
            Ok(RequestBody::Steps(vec!["ship".into()]))
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_write() {
        for (action, value, says) in [
            (RequestAction::Retry, "ship,", "name is missing"),
            (RequestAction::Retry, "@v2", "name is missing"),
            (RequestAction::Retry, "ship,*", "write it alone"),
            (RequestAction::Retry, "Ship", "no step's name"),
            (RequestAction::Retry, "ship@two words", "no step's name"),
            (RequestAction::Retry, &format!("ship@{}", "x".repeat(64)), "no step's name"),
            (RequestAction::Skip, "*", "name the steps"),
            (RequestAction::Skip, r#"ship={"a":1"#, "no JSON"),
            (RequestAction::Skip, "ship=[1]", "no JSON object"),
            (RequestAction::Skip, r#"ship,bill={"a":1}"#, "one step at a time"),
            (
                RequestAction::Skip,
                &format!("ship={{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40)),
                "nested deeper",
            ),
            (
                RequestAction::Skip,
                &format!("ship={{\"a\":{}1{}}}", "[".repeat(2000), "]".repeat(2000)),
                "no JSON",
            ),
            (
                RequestAction::Skip,
                &format!("ship={{\"a\":\"{}\"}}", "x".repeat(5000)),
                "at most 4096 bytes",
            ),
            (RequestAction::Retry, r#"ship={"a":1}"#, "only with saga.dev/skip"),
            (RequestAction::Approve, "*", "name the steps"),
            (RequestAction::Settle, "ship", "a step and its outcome"),
            (RequestAction::Settle, "ship=Done", "as Failed or as Succeeded"),
            (RequestAction::Settle, r#"ship=Failed={"a":1}"#, "as Failed or as Succeeded"),
            (RequestAction::Settle, "ship=Succeeded=1", "no JSON object"),
            (RequestAction::Settle, "ship,bill=Failed", "one step is settled at a time"),
            (RequestAction::Settle, "*=Failed", "name the steps"),
        ] {
            let said = asked(action, value).body().expect_err(value);
            assert!(said.contains(says), "{value}: {said}");
        }
    }

    #[test]
    fn a_token_stands_at_the_end_of_steps_and_at_the_beginning_of_a_reason() {
        assert_eq!(retry("ship@a.b_c-1").token(), Some("a.b_c-1"));
        assert_eq!(retry("ship").token(), None);
        let compensate = |value| asked(RequestAction::Compensate, value);
        assert_eq!(compensate("@t1: the customer called").token(), Some("t1"));
        assert_eq!(
            compensate("@t1: the customer called").body(),
            Ok(RequestBody::Saga("the customer called".into()))
        );
        assert_eq!(compensate("@t1").body(), Ok(RequestBody::Saga(String::new())));
        assert_eq!(compensate("mail me@t1").token(), None);
        assert!(
            compensate("@two words: no")
                .body()
                .is_err_and(|said| said.contains("@TOKEN: the reason"))
        );
    }

    #[test]
    fn a_step_is_skipped_with_the_outputs_it_would_have_had() {
        let skip = |value: &str| asked(RequestAction::Skip, value);
        let outputs = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let mail = r#"{"mail":"a@b.c","of":"x=y,z"}"#;
        let with_outputs = skip(&format!("ship={mail}"));
        assert_eq!(
            with_outputs.body(),
            Ok(RequestBody::StepWithOutputs("ship".into(), outputs(mail)))
        );
        let declared = skip(r#"ship={"a":1}@t1"#);
        assert_eq!(
            (declared.token(), declared.body()),
            (Some("t1"), Ok(RequestBody::StepWithOutputs("ship".into(), outputs(r#"{"a":1}"#))))
        );
    }

    #[test]
    fn a_step_is_settled_by_one_of_two_words_and_with_outputs_where_it_was_done() {
        let settle = |value: &str| asked(RequestAction::Settle, value);
        let outputs =
            serde_json::from_str::<Map<String, Value>>(r#"{"mail":"a@b.c","of":"x=y"}"#).unwrap();
        for (value, word) in [
            ("ship=Failed", ManualOutcome::Failed),
            (" ship = Succeeded ", ManualOutcome::Succeeded(None)),
            (
                r#"ship=Succeeded={"mail":"a@b.c","of":"x=y"}"#,
                ManualOutcome::Succeeded(Some(outputs)),
            ),
        ] {
            assert_eq!(
                (settle(value).token(), settle(value).body()),
                (None, Ok(RequestBody::Settled("ship".into(), word))),
                "{value}"
            );
        }
        let declared = settle("ship=Failed@t1");
        assert_eq!(
            (declared.token(), declared.body()),
            (Some("t1"), Ok(RequestBody::Settled("ship".into(), ManualOutcome::Failed)))
        );
    }

    #[test]
    fn the_same_token_with_another_body_is_told_apart() {
        let hashes = |value| retry(value).token_hashes();
        let (first, second) = (hashes("ship@t1"), hashes("bill@t1"));
        assert!(
            first.is_some()
                && first.as_ref().map(|pair| &pair.0) == second.as_ref().map(|pair| &pair.0)
        );
        assert_ne!(first, second);
        assert_ne!(hashes("ship@t2"), first);
        assert_eq!(hashes("ship"), None);
    }

    #[test]
    fn blanks_ask_for_nothing() {
        assert!(retry(" \n\t").is_empty() && !retry("*").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read(value in any::<String>(), pick in 0..RequestAction::ALL.len()) {
            let asked = asked(RequestAction::ALL[pick], &value);
            match asked.body() {
                Ok(RequestBody::Steps(steps)) => {
                    prop_assert!(!steps.is_empty() && steps.iter().all(|step| is_dns_label(step)));
                }
                Ok(RequestBody::StepWithOutputs(step, _) | RequestBody::Settled(step, _)) => {
                    prop_assert!(is_dns_label(&step));
                }
                Ok(RequestBody::EveryStep | RequestBody::Saga(_)) => {}
                Err(sentence) => prop_assert!(!sentence.is_empty() && sentence.len() < 500),
            }
            prop_assert_eq!(asked.token().is_some(), asked.token_hashes().is_some());
        }
    }
}
