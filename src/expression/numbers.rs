//! Integers and doubles are one kind of number, since JSON has only one: the API server returns
//! 100.0 as 100.
//!
//! # Guarantees
//! An operation on an integer and a double is computed in doubles. Numbers are compared by their
//! values, within lists and objects too. An operation on two integers gives an integer, as in CEL.

use std::sync::Arc;

use kube::core::cel::cel::{
    Context, ExecutionError, ResolveResult, Value,
    common::ast::operators,
    extractors::This,
    objects::{Key, Map},
};

use super::{rules, strict::ORDERED};

/// Replaces the interpreter's own operators and functions with those of this file.
pub(in crate::expression) fn register(context: &mut Context<'_>) {
    context.add_function(operators::ADD, |This(left): This<Value>, right: Value| add(left, right));
    context.add_function(operators::SUBSTRACT, |This(left): This<Value>, right: Value| {
        in_one_kind(left, right, |left, right| left - right)
    });
    context.add_function(operators::MULTIPLY, |This(left): This<Value>, right: Value| {
        in_one_kind(left, right, |left, right| left * right)
    });
    context.add_function(operators::DIVIDE, |This(left): This<Value>, right: Value| {
        in_one_kind(left, right, |left, right| left / right)
    });
    context.add_function(operators::MODULO, |This(left): This<Value>, right: Value| {
        in_one_kind(left, right, remainder)
    });
    context.add_function(operators::EQUALS, |This(left): This<Value>, right: Value| left == right);
    context
        .add_function(operators::NOT_EQUALS, |This(left): This<Value>, right: Value| left != right);
    context.add_function(operators::IN, is_in);
    context.add_function("sum", sum);
    context.add_function("math.ceil", |number: Value| rounded("math.ceil", number, f64::ceil));
    context.add_function("math.floor", |number: Value| rounded("math.floor", number, f64::floor));
    context.add_function("math.round", |number: Value| rounded("math.round", number, f64::round));
    context.add_function(ORDERED, |This(range): This<Value>| ordered(range));
}

#[expect(clippy::cast_precision_loss, reason = "CEL compares and converts so")]
const fn as_double(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::UInt(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// Computes in doubles if one of the two values is a double.
fn in_one_kind(
    left: Value,
    right: Value,
    compute: impl Fn(Value, Value) -> ResolveResult,
) -> ResolveResult {
    match (&left, &right) {
        (Value::Float(_), Value::Int(_) | Value::UInt(_))
        | (Value::Int(_) | Value::UInt(_), Value::Float(_)) => {
            let double = |value: &Value| as_double(value).map_or(Value::Null, Value::Float);
            compute(double(&left), double(&right))
        }
        _ => compute(left, right),
    }
}

fn add(left: Value, right: Value) -> ResolveResult {
    match (left, right) {
        (Value::Bytes(left), Value::Bytes(right)) => {
            Ok(Value::Bytes(Arc::new([left.as_slice(), right.as_slice()].concat())))
        }
        (left, right) => in_one_kind(left, right, |left, right| left + right),
    }
}

/// Returns the remainder of a division. Neither the interpreter nor the CEL of Kubernetes has a
/// remainder of doubles. Here 5 and 5.5 may stand in one place, so both have a remainder.
fn remainder(left: Value, right: Value) -> ResolveResult {
    match (&left, &right) {
        (Value::Float(_), Value::Float(0.0)) => Err(ExecutionError::RemainderByZero(left)),
        (Value::Float(left), Value::Float(right)) => Ok(Value::Float(left % right)),
        _ => left % right,
    }
}

/// Returns whether a list has an element, or a map has a key.
#[expect(clippy::needless_pass_by_value, reason = "a function of the interpreter takes values")]
fn is_in(This(wanted): This<Value>, container: Value) -> ResolveResult {
    let holds = match &container {
        Value::List(items) => items.contains(&wanted),
        Value::Map(Map { map }) => key(wanted)?.is_some_and(|key| map.contains_key(&key)),
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    Ok(Value::Bool(holds))
}

/// Returns the map key for a value. `None` if no map can have such a key.
#[expect(clippy::cast_possible_truncation, reason = "only what is an integer is taken as one")]
fn key(value: Value) -> Result<Option<Key>, ExecutionError> {
    match value {
        Value::Float(number) => {
            Ok((number.fract() == 0.0 && number.abs() < 1e15).then_some(Key::Int(number as i64)))
        }
        other => other.try_into().map(Some).map_err(|_| ExecutionError::NoSuchOverload),
    }
}

fn sum(This(items): This<Arc<Vec<Value>>>) -> ResolveResult {
    let is_number = |item: &&Value| as_double(item).is_none();
    if let Some(other) = items.iter().find(is_number) {
        return Err(ExecutionError::function_error(
            "sum",
            format!("takes numbers, not {}", other.type_of()),
        ));
    }
    let mut items = items.iter().cloned();
    let first = items.next().unwrap_or(Value::Int(0));
    items.try_fold(first, add)
}

/// Rounds a double. An integer is returned unchanged.
fn rounded(function: &str, number: Value, round: impl Fn(f64) -> f64) -> ResolveResult {
    match number {
        Value::Int(_) | Value::UInt(_) => Ok(number),
        Value::Float(number) => Ok(Value::Float(round(number))),
        other => Err(ExecutionError::function_error(
            function,
            format!("takes a number, not {}", other.type_of()),
        )),
    }
}

/// Returns the keys of a map in their order. Any other value is returned unchanged.
#[expect(clippy::unnecessary_wraps, reason = "a function of the interpreter returns a result")]
fn ordered(range: Value) -> ResolveResult {
    let Value::Map(Map { map }) = range else { return Ok(range) };
    let keys = rules::in_order(map.keys().cloned().collect());
    Ok(Value::List(Arc::new(keys.into_iter().map(Value::from).collect())))
}
