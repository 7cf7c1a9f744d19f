//! Removes the values of Secrets from the answers of services.
//!
//! # Guarantees
//! - Neither a value nor any part of it ([`encodings`]) shows if an answer repeats it as sent, in
//!   JSON with any escapes, percent-encoded as in a URL or a form, or in base64, alone or within
//!   other text. A JSON body is searched after parsing: each string, each key, and each number that
//!   equals such a part. A later step that undid the escapes would therefore find no value behind
//!   them.
//! - Short pieces of a value are everyday words. They are hidden as whole words of texts, and they
//!   show in names and as numbers.
//! - Time grows with the bytes of the values plus the bytes of the answer, not with their product.
//!   Memory grows with the bytes of the values.
//!
//! # Caveats
//! - A service that receives a Secret can write it in a form that is not recognised. The removal
//!   serves services that repeat what they received.
//! - Values that another HTTP request sent to the service are not searched. A value that a broken
//!   answer cuts off is not found either.
//! - Two keys that consist only of hidden parts become one key. The later of the two stays.
//! - If a value is very long or has very many parts, not all its parts are searched
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

/// The replacement of a hidden value.
const HIDDEN: &str = "[hidden]";

/// The redactor of the Secrets that one HTTP request sends. Large values make the redactor large,
/// so keep few redactors at once.
pub(in crate::controller) struct Redactor {
    /// Finds the forms that are hidden anywhere.
    anywhere: Finder,
    /// Finds the forms that are hidden as whole words.
    words: Words,
    /// The parts that are numbers, as the bits of a double.
    numbers: BTreeSet<u64>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(..)")
    }
}

impl Redactor {
    /// Creates a redactor of the values of `secrets`.
    pub(in crate::controller) fn new(secrets: &[SecretValue]) -> Self {
        let Forms { anywhere, words, numbers } = Forms::of(secrets);
        Self { anywhere: Finder::new(anywhere), words, numbers }
    }

    /// Returns the text without the values.
    pub(in crate::controller) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.hide_with(&self.words, text)
    }

    /// Returns a name without the values. Short pieces of a value stay, because they are everyday
    /// words and names are made of such words.
    pub(in crate::controller) fn redact_in_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
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

    /// Returns two forms of a body: as expressions read it, which is JSON, or text if the body is
    /// not JSON; and as a message shows it.
    pub(in crate::controller) fn body(&self, raw: &str) -> (Value, String) {
        let Ok(parsed) = serde_json::from_str::<Value>(raw) else {
            let text = self.redact(raw).into_owned();
            return (Value::String(text.clone()), text);
        };
        let body = self.hide_in(parsed.clone());
        // The raw text is used only if the parsed body needed no hiding and the raw text contains
        // no hidden word. A value found in the parsed body may be written in the raw text in a form
        // that the search does not see. A word found in the raw text may be a name or a number,
        // which both stay, or may stand in a duplicate field, of which the parsed body keeps only
        // one.
        let as_it_came = body == parsed
            && !views(raw).any(|view| self.words.find(view.bytes()).next().is_some());
        let text = if as_it_came {
            self.redact_in_name(raw).into_owned()
        } else {
            self.redact_in_name(&body.to_string()).into_owned()
        };
        (body, text)
    }

    /// Returns the value without the values of the Secrets. The recursion is no deeper than the
    /// JSON parser allows.
    fn hide_in(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(&text).into_owned()),
            Value::Number(number) if self.is_hidden(&number) => HIDDEN.into(),
            Value::Array(items) => items.into_iter().map(|item| self.hide_in(item)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(key, value)| (self.redact_in_name(&key).into_owned(), self.hide_in(value)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    /// Returns whether a number is a part of a secret value, in any notation.
    fn is_hidden(&self, number: &Number) -> bool {
        number.as_f64().is_some_and(|number| self.numbers.contains(&number.to_bits()))
            && number.to_string().len() >= MIN_HIDDEN
    }
}

/// Adds a place that ends no earlier than the places before it. Places that touch are merged.
fn add(found: &mut Vec<Range<usize>>, mut place: Range<usize>) {
    while let Some(last) = found.pop_if(|last| last.end >= place.start) {
        place.start = place.start.min(last.start);
        place.end = place.end.max(last.end);
    }
    found.push(place);
}

/// Returns the text with [`HIDDEN`] in these places.
fn without(text: &str, mut places: Vec<Range<usize>>) -> Cow<'_, str> {
    if places.is_empty() {
        return Cow::Borrowed(text);
    }
    places.sort_unstable_by_key(|place| place.end);
    let mut merged = Vec::new();
    for place in places {
        // A place is extended to whole characters, because half a character reveals half of what it
        // is.
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
