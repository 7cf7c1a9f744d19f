//! The instructions to the shop: what it does with a call instead of its normal work.
//!
//! A rule names the calls that it concerns and what happens to them, call by call:
//!
//! ```json
//! [{
//!     "match": {"service": "payments", "direction": "action"},
//!     "then": [{"answer": 503, "retryAfter": "2"}, {"closeAfterWork": true}]
//! }]
//! ```
//!
//! Rules arrive by `PUT /behaviour`, or in the body of a call as `"shop": {"then": […]}`. A rule in
//! a body concerns the step and direction of that call. It is taken from the first call that brings
//! it. A rule that was put takes precedence over it. If a list is used up, or if no rule matches,
//! the shop does its work. A last item with `"forever": true` is never used up.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use axum::http::{HeaderValue, StatusCode};
use saga_operator::api::{Direction, GoDuration};
use serde::Deserialize;
use serde_json::Value;

use super::call::Call;

/// The longest wait that the shop accepts.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// What happens to one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Conduct {
    /// The work is done after this wait, which may be zero.
    Work(Duration),
    /// Nothing is done. The answer has this status and this `Retry-After`.
    Answer(StatusCode, Option<HeaderValue>),
    /// Nothing is done. The answer is 200 with `{"status": "declined"}`.
    Decline,
    /// Nothing is done. The connection stays silent for this time and is then closed.
    Hang(Duration),
    /// The work is done. The answer has this body.
    Say(String),
    /// The work is done, and the connection is closed without an answer.
    CloseAfterWork,
    /// Nothing is done, and the connection is closed without an answer.
    CloseBeforeWork,
}

/// The calls that a rule concerns, and what happens to them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    #[serde(default, rename = "match")]
    concerns: Match,
    then: Script,
}

/// The properties of a call that a rule concerns. A property that is not set matches all calls.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Match {
    scope: Option<String>,
    service: Option<String>,
    path: Option<String>,
    step: Option<String>,
    direction: Option<Direction>,
}

impl Match {
    fn concerns(&self, call: &Call) -> bool {
        let same =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        same(&self.scope, &call.key.scope)
            && same(&self.service, call.service.name)
            && same(&self.path, call.path())
            && same(&self.step, &call.key.step)
            && self.direction.is_none_or(|wanted| wanted == call.direction)
    }
}

/// Conducts for one call after another, used up from the front.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<Item>")]
struct Script {
    items: VecDeque<Conduct>,
    last_is_forever: bool,
}

impl Script {
    fn next(&mut self) -> Option<Conduct> {
        if self.last_is_forever && self.items.len() == 1 {
            self.items.front().cloned()
        } else {
            self.items.pop_front()
        }
    }
}

/// The error for an item that has two instructions.
const ONE_THING: &str = "an item says one thing: answer, decline, hang, delay, say, \
    closeAfterWork, closeBeforeWork, or nothing for simply doing the work";

/// One item of `then` as it is written.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own in the script")]
struct Item {
    answer: Option<u16>,
    retry_after: Option<String>,
    hang: Option<GoDuration>,
    delay: Option<GoDuration>,
    say: Option<String>,
    #[serde(default)]
    close_after_work: bool,
    #[serde(default)]
    close_before_work: bool,
    #[serde(default)]
    decline: bool,
    #[serde(default)]
    forever: bool,
}

impl TryFrom<Vec<Item>> for Script {
    type Error = String;

    fn try_from(items: Vec<Item>) -> Result<Self, String> {
        let last_is_forever = items.last().is_some_and(|item| item.forever);
        if items.iter().rev().skip(1).any(|item| item.forever) {
            return Err("forever may stand only at the last item of a list: what follows would \
                never happen"
                .into());
        }
        let items = items.into_iter().map(Item::conduct).collect::<Result<_, _>>()?;
        Ok(Self { items, last_is_forever })
    }
}

impl Item {
    fn conduct(self) -> Result<Conduct, String> {
        if self.retry_after.is_some() && self.answer.is_none() {
            return Err(
                "retryAfter needs an answer: {\"answer\": 503, \"retryAfter\": \"2\"}".into()
            );
        }
        if let Some(body) = self.say {
            let alone = self.answer.is_none()
                && self.hang.is_none()
                && self.delay.is_none()
                && !self.close_after_work
                && !self.close_before_work;
            return if alone {
                Ok(Conduct::Say(body))
            } else {
                Err("say stands alone: the work is done, and answered with that body".into())
            };
        }
        if self.decline {
            let alone = self == Self { decline: true, forever: self.forever, ..Self::default() };
            return if alone { Ok(Conduct::Decline) } else { Err(ONE_THING.into()) };
        }
        match (self.answer, self.hang, self.delay, self.close_after_work, self.close_before_work) {
            (None, None, None, false, false) => Ok(Conduct::Work(Duration::ZERO)),
            (Some(answer), None, None, false, false) => {
                answer_of(answer, self.retry_after.as_deref())
            }
            (None, Some(hang), None, false, false) => Ok(Conduct::Hang(wait(hang)?)),
            (None, None, Some(delay), false, false) => Ok(Conduct::Work(wait(delay)?)),
            (None, None, None, true, false) => Ok(Conduct::CloseAfterWork),
            (None, None, None, false, true) => Ok(Conduct::CloseBeforeWork),
            _ => Err(ONE_THING.into()),
        }
    }
}

fn answer_of(status: u16, retry_after: Option<&str>) -> Result<Conduct, String> {
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|status| (300..600).contains(&status.as_u16()))
        .ok_or(
            "answer must be a status from 300 to 599: the shop did nothing, and may not say \
            that it did",
        )?;
    let retry_after = retry_after
        .map(HeaderValue::from_str)
        .transpose()
        .map_err(|_| "retryAfter must be a header value, such as \"2\"")?;
    Ok(Conduct::Answer(status, retry_after))
}

fn wait(duration: GoDuration) -> Result<Duration, String> {
    let fits = duration.positive().filter(|wait| *wait <= MAX_WAIT);
    fits.ok_or_else(|| format!("{duration} is no wait of more than 0 and at most 60 s"))
}

/// All instructions to the shop, and how much of them is used up.
#[derive(Default)]
pub struct Behaviours {
    put: Vec<Rule>,
    brought: HashMap<(String, String, Direction), Script>,
}

impl Behaviours {
    /// Replaces all rules that were put before by these rules. The first rule that matches and is
    /// not used up applies.
    ///
    /// # Errors
    /// A sentence that says where the rules are wrong. The earlier rules remain.
    pub fn put(&mut self, rules: &[u8]) -> Result<(), String> {
        self.put = parse(rules)?;
        Ok(())
    }

    /// Forgets the rules that calls of one scope, or of all scopes, brought with them.
    pub fn forget(&mut self, scope: Option<&str>) {
        self.brought.retain(|(other, ..), _| scope.is_some_and(|scope| scope != other));
    }

    /// Returns what happens to this call.
    ///
    /// # Errors
    /// A sentence that says where the rule in the body is wrong.
    pub fn next(&mut self, call: &Call, body: &[u8]) -> Result<Conduct, String> {
        let put = self
            .put
            .iter_mut()
            .filter(|rule| rule.concerns.concerns(call))
            .find_map(|rule| rule.then.next());
        if let Some(conduct) = put {
            return Ok(conduct);
        }
        let step = (call.key.scope.clone(), call.key.step.clone(), call.direction);
        if let Some(script) = self.brought.get_mut(&step) {
            return Ok(script.next().unwrap_or(Conduct::Work(Duration::ZERO)));
        }
        let Some(mut script) = brought_by(body)? else { return Ok(Conduct::Work(Duration::ZERO)) };
        let conduct = script.next().unwrap_or(Conduct::Work(Duration::ZERO));
        self.brought.insert(step, script);
        Ok(conduct)
    }
}

/// Returns the rule in a body. A body that is not a JSON object has no rule.
fn brought_by(body: &[u8]) -> Result<Option<Script>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Brought {
        then: Script,
    }
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let Some(words) = body.as_ref().and_then(|body| body.get("shop")) else { return Ok(None) };
    let brought: Brought =
        parse(words.to_string().as_bytes()).map_err(|error| format!("shop: {error}"))?;
    Ok(Some(brought.then))
}

fn parse<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(text);
    serde_path_to_error::deserialize(&mut json)
        .map_err(|error| format!("{}: {}", error.path(), error.inner()))
}
