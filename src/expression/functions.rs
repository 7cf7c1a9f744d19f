//! Functions that the interpreter has in another way than the CEL of Kubernetes, or that it does
//! more often than needs be.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube::core::cel::cel::{
    Context, ExecutionError, ResolveResult, Value,
    extractors::{Arguments, This},
};
use regex::Regex;

/// Puts them in the place of the interpreter's own.
pub(crate) fn mend(context: &mut Context<'_>) {
    context.add_function("size", size);
    context.add_function("join", join);
    let patterns = Patterns::default();
    context.add_function("matches", move |This(text): This<Arc<String>>, pattern: Arc<String>| {
        patterns.is_match(&pattern, &text)
    });
}

/// The patterns of one evaluation, or what is wrong with them: each is made once, however many
/// elements of a list it is held against. No more than stand in the expression, which has
/// [`crate::expression::program::MAX_LENGTH`] characters at most.
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

/// Of a text its characters, as `substring` and `charAt` count, and not its bytes.
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

/// Of texts alone: of all else the interpreter would write how it looks inside.
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
