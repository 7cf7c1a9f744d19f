//! What the shop was told to do with a call instead of simply doing its work.
//!
//! A rule says whom it concerns and what then happens, call by call:
//!
//! ```json
//! [{
//!     "match": {"service": "payments", "direction": "action"},
//!     "then": [{"answer": 503, "retryAfter": "2"}, {"closeAfterWork": true}]
//! }]
//! ```
//!
//! Rules come by `PUT /behaviour`, or in a request's own body as `"shop": {"then": […]}`: such a
//! rule concerns the step and direction of that request, is taken from the first request that
//! brings it, and gives way to a rule that was put. Where a list is used up, or no rule matches,
//! the shop does its work; a last item with `"forever": true` is never used up.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use axum::http::{HeaderValue, StatusCode};
use saga_operator::api::{Direction, GoDuration};
use serde::Deserialize;
use serde_json::Value;

use super::call::Call;

/// The longest wait the shop can be told.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// What happens to one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Conduct {
    /// The work is done after this wait, which may be zero.
    Work(Duration),
    /// Nothing is done, and this is answered.
    Answer(StatusCode, Option<HeaderValue>),
    /// Nothing is done, and 200 says so: `{"status": "declined"}`.
    Decline,
    /// Nothing is done; the connection stays silent for so long and is closed.
    Hang(Duration),
    /// The work is done, and what it is answered with has this body.
    Say(String),
    /// The work is done, and the connection is closed without an answer.
    CloseAfterWork,
    /// Nothing is done, and the connection is closed without an answer.
    CloseBeforeWork,
}

/// Whom a rule concerns, and what happens to them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    #[serde(default, rename = "match")]
    concerns: Match,
    then: Script,
}

/// What a call must be for a rule to concern it. What is not set matches all.
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

/// What is wrong with an item that says two things.
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

/// Everything the shop was told, and how much of it is used up.
#[derive(Default)]
pub struct Behaviours {
    put: Vec<Rule>,
    brought: HashMap<(String, String, Direction), Script>,
}

impl Behaviours {
    /// Takes these rules in place of all that were put before. The first that matches and is not
    /// used up counts.
    ///
    /// # Errors
    /// A sentence that says where the rules are wrong; the rules from before stay.
    pub fn put(&mut self, rules: &[u8]) -> Result<(), String> {
        self.put = parse(rules)?;
        Ok(())
    }

    /// Forgets the rules that requests of one scope, or of all, brought with them.
    pub fn forget(&mut self, scope: Option<&str>) {
        self.brought.retain(|(other, ..), _| scope.is_some_and(|scope| scope != other));
    }

    /// What happens to this call.
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

/// The rule in a body. A body that is no JSON object has none.
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
