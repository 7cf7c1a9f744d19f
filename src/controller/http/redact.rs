//! Takes the values of Secrets out of what the other side answers.
//!
//! # Guarantees
//! - Neither a value nor any part of it ([`encodings`]) shows where an answer repeats it as it was
//!   sent, in JSON however it is escaped, percent-encoded as in a URL or a form, or in base64,
//!   alone or in the midst of other text. A body that is JSON is looked at once it is parsed, each
//!   string and each key of it, and a number that is such a part: whatever undid the escapes would
//!   find nothing behind them.
//! - Short pieces of a value are everyday words: they are hidden as whole words of texts, and show
//!   in names and as numbers.
//! - Time grows with the bytes of the values and of the answer, and not with their product; memory
//!   with the bytes of the values.
//!
//! # Caveats
//! - Who is sent a Secret knows it, and can write it in a way that nobody recognises. This is for
//!   services that echo what they were sent.
//! - What the other side was sent by another request is not looked for, nor what a broken answer
//!   holds the beginning of.
//! - Two keys that hold nothing but hidden parts are one: the later one stands.
//! - Of very long values, or values with very many parts, not all parts are looked for
//!   ([`encodings::MAX_FORMS`]).

mod automaton;
mod decodings;
mod encodings;
mod words;

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range};

use serde_json::{Number, Value};

use self::{
    automaton::Finder,
    decodings::views,
    encodings::{Forms, MIN_HIDDEN},
    words::Words,
};
use crate::controller::cluster::secrets::SecretValue;

/// What stands where a value stood.
const HIDDEN: &str = "[hidden]";

/// Knows the values of the Secrets that a request sends. Large values make it large: let few exist
/// at once.
pub(crate) struct Hider {
    /// Finds what does not show wherever it stands.
    anywhere: Finder,
    /// Finds what does not show as a whole word.
    words: Words,
    /// The parts that are numbers, as the bits of a double.
    numbers: BTreeSet<u64>,
}

impl fmt::Debug for Hider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hider(..)")
    }
}

impl Hider {
    /// Hides the values of `secrets`.
    pub(crate) fn new(secrets: &[SecretValue]) -> Self {
        let Forms { anywhere, words, numbers } = Forms::of(secrets);
        Self { anywhere: Finder::new(anywhere), words, numbers }
    }

    /// The text without the values.
    pub(crate) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.hide_with(&self.words, text)
    }

    /// A name without the values. The short pieces of values are words of everyday use, and so are
    /// names: they stay.
    pub(crate) fn hide_in_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        self.hide_with(&Words::default(), name)
    }

    fn hide_with<'a>(&self, words: &Words, text: &'a str) -> Cow<'a, str> {
        let mut all = Vec::new();
        for view in views(text) {
            for places in [
                &mut self.anywhere.find(view.bytes()) as &mut dyn Iterator<Item = _>,
                &mut words.find(view.bytes()),
            ] {
                let mut found = Vec::new();
                for place in places {
                    add(&mut found, view.place(place));
                }
                all.extend(found);
            }
        }
        without(text, all)
    }

    /// A body as expressions read it, which is as JSON, or as text where it is none; and as a
    /// message shows it.
    pub(crate) fn body(&self, raw: &str) -> (Value, String) {
        let Ok(parsed) = serde_json::from_str::<Value>(raw) else {
            let text = self.hide(raw).into_owned();
            return (Value::String(text.clone()), text);
        };
        let body = self.hide_in(parsed.clone());
        // The text holds names and numbers, too. What was found in the body may be written in a way
        // that is not seen in the text; and what is seen in the text may be a name or a number, or
        // stand in a field that is there twice, of which the body has but one.
        let as_it_came = body == parsed
            && !views(raw).any(|view| self.words.find(view.bytes()).next().is_some());
        let text = if as_it_came {
            self.hide_in_name(raw).into_owned()
        } else {
            self.hide_in_name(&body.to_string()).into_owned()
        };
        (body, text)
    }

    /// The value without the values of the Secrets. No deeper than a parser of JSON goes.
    fn hide_in(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.hide(&text).into_owned()),
            Value::Number(number) if self.is_hidden(&number) => HIDDEN.into(),
            Value::Array(items) => items.into_iter().map(|item| self.hide_in(item)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(key, value)| (self.hide_in_name(&key).into_owned(), self.hide_in(value)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    /// Whether a number is a part of a value, however it is written.
    fn is_hidden(&self, number: &Number) -> bool {
        number.as_f64().is_some_and(|number| self.numbers.contains(&number.to_bits()))
            && number.to_string().len() >= MIN_HIDDEN
    }
}

/// Adds a place that ends no earlier than those before it. Those that touch become one.
fn add(found: &mut Vec<Range<usize>>, mut place: Range<usize>) {
    while let Some(last) = found.pop_if(|last| last.end >= place.start) {
        place.start = place.start.min(last.start);
        place.end = place.end.max(last.end);
    }
    found.push(place);
}

/// The text with [`HIDDEN`] in these places.
fn without(text: &str, mut places: Vec<Range<usize>>) -> Cow<'_, str> {
    if places.is_empty() {
        return Cow::Borrowed(text);
    }
    places.sort_unstable_by_key(|place| place.end);
    let mut merged = Vec::new();
    for place in places {
        // Half a character says half of what it is.
        add(&mut merged, text.floor_char_boundary(place.start)..text.ceil_char_boundary(place.end));
    }
    let (mut left, mut shown) = (String::new(), 0);
    for place in merged {
        left.push_str(text.get(shown..place.start).unwrap_or_default());
        left.push_str(HIDDEN);
        shown = place.end;
    }
    left.push_str(text.get(shown..).unwrap_or_default());
    Cow::Owned(left)
}

#[cfg(test)]
mod tests;
