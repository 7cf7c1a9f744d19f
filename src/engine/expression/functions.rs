//! Functions that the interpreter has in another way than the CEL of Kubernetes.

use std::sync::Arc;

use kube::core::cel::cel::{
    Context, ExecutionError, ResolveResult, Value,
    extractors::{Arguments, This},
};

/// Puts them in the place of the interpreter's own.
pub(super) fn mend(context: &mut Context<'_>) {
    context.add_function("size", size);
    context.add_function("join", join);
}

/// Of a text its characters, as `substring` and `charAt` count, and not its bytes.
fn size(This(this): This<Value>) -> ResolveResult {
    let size = match &this {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.map.len(),
        other => return Err(ExecutionError::function_error("size", format!("there is none of {}", other.type_of()))),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

/// Of texts alone: of all else the interpreter would write how it looks inside.
fn join(This(this): This<Arc<Vec<Value>>>, Arguments(arguments): Arguments) -> ResolveResult {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.to_string()),
        other => Err(ExecutionError::function_error("join", format!("takes strings, not {}", other.type_of()))),
    };
    let separator = arguments.first().map(text).transpose()?.unwrap_or_default();
    let texts: Vec<String> = this.iter().map(text).collect::<Result<_, _>>()?;
    Ok(Value::String(Arc::new(texts.join(&separator))))
}
