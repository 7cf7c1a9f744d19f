//! Functions that the interpreter defines in another way than the CEL of Kubernetes, or that do
//! more work in the interpreter than is needed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube::core::cel::cel::{
    Context, ExecutionError, ResolveResult, Value,
    extractors::{Arguments, This},
};
use regex::Regex;

/// Replaces the interpreter's own functions with those of this file.
pub(in crate::expression) fn register(context: &mut Context<'_>) {
    context.add_function("size", size);
    context.add_function("join", join);
    let patterns = Patterns::default();
    context.add_function("matches", move |This(text): This<Arc<String>>, pattern: Arc<String>| {
        patterns.is_match(&pattern, &text)
    });
}

/// The compiled patterns of one evaluation, or their errors. A pattern is compiled once, however
/// many elements of a list are matched with it. There are no more patterns than the expression
/// holds, and an expression has at most [`crate::expression::program::MAX_LENGTH`] characters.
#[derive(Default)]
struct Patterns(Mutex<BTreeMap<String, Result<Regex, String>>>);

impl Patterns {
    fn is_match(&self, pattern: &str, text: &str) -> Result<bool, ExecutionError> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.contains_key(pattern) {
            made.insert(
                pattern.to_owned(),
                Regex::new(pattern).map_err(|error| super::pattern::invalid(pattern, error)),
            );
        }
        match made.get(pattern) {
            Some(Ok(regex)) => Ok(regex.is_match(text)),
            Some(Err(error)) => Err(ExecutionError::function_error("matches", error)),
            None => Ok(false),
        }
    }
}

/// Returns the size of a value. The size of a text is its number of characters, as `substring` and
/// `charAt` count, and not its number of bytes.
fn size(This(this): This<Value>) -> ResolveResult {
    let size = match &this {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.map.len(),
        other => {
            return Err(ExecutionError::function_error(
                "size",
                format!("there is none of {}", other.type_of()),
            ));
        }
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

/// Joins texts only. For any other value, the interpreter would write its internal form.
fn join(This(this): This<Arc<Vec<Value>>>, Arguments(arguments): Arguments) -> ResolveResult {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.to_string()),
        other => Err(ExecutionError::function_error(
            "join",
            format!("takes strings, not {}", other.type_of()),
        )),
    };
    let separator = arguments.first().map(text).transpose()?.unwrap_or_default();
    let texts: Vec<String> = this.iter().map(text).collect::<Result<_, _>>()?;
    Ok(Value::String(Arc::new(texts.join(&separator))))
}
