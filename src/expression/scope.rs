//! The values that an expression may read.

use std::{borrow::Cow, collections::BTreeMap};

use kube::core::cel::cel::Value as Cel;
use serde_json::{Map, Value, json};

use super::{
    convert,
    reads::{Reads, Variable},
};
use crate::api::{Outcome, StepStatus};

/// The values of the variables at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// `spec.params`. Empty if the saga has none.
    pub params: &'a Map<String, Value>,
    /// The name, namespace and UID of the saga, in this order.
    pub saga: [&'a str; 3],
    /// The status of each step.
    pub steps: &'a [StepStatus],
    /// The step's own outputs.
    pub outputs: Option<&'a Map<String, Value>>,
    /// The idempotency key and the outcome of the step's action.
    pub action: Option<(&'a str, Outcome)>,
    /// The answer of the service.
    pub response: Option<&'a Value>,
    /// The attempt.
    pub attempt: Option<ScopedAttempt>,
    /// The object that the step applied or waits for.
    pub object: Option<&'a Value>,
}

/// What an expression may read of the attempt.
#[derive(Clone, Copy, Debug)]
pub struct ScopedAttempt {
    /// The number of the attempt.
    pub number: i64,
    /// Whether an earlier attempt may be in effect.
    pub uncertain: bool,
}

/// The value of a variable. A value that already exists elsewhere is borrowed, because a saga may
/// hold thousands of expressions.
pub(in crate::expression) enum Given<'a> {
    /// An object.
    Fields(&'a Map<String, Value>),
    /// Any value.
    Value(Cow<'a, Value>),
}

impl Given<'_> {
    pub(in crate::expression) fn as_object(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Fields(fields) => Some(fields),
            Self::Value(value) => value.as_object(),
        }
    }

    pub(in crate::expression) fn as_array(&self) -> Option<&Vec<Value>> {
        match self {
            Self::Fields(_) => None,
            Self::Value(value) => value.as_array(),
        }
    }

    pub(in crate::expression) fn to_cel(&self) -> Cel {
        match self {
            Self::Fields(fields) => convert::fields_into_cel(fields),
            Self::Value(value) => convert::into_cel(value),
        }
    }
}

impl<'a> Scope<'a> {
    /// Returns the values that are known before the first step begins.
    #[must_use]
    pub const fn new(params: &'a Map<String, Value>, saga: [&'a str; 3]) -> Self {
        Self {
            params,
            saga,
            steps: &[],
            outputs: None,
            action: None,
            response: None,
            attempt: None,
            object: None,
        }
    }

    /// Returns the values of the variables in `reads`. A variable that has no value is left out.
    pub(in crate::expression) fn variables(
        &self,
        reads: &Reads,
    ) -> BTreeMap<&'static str, Given<'a>> {
        let made = |value| Some(Given::Value(Cow::Owned(value)));
        let value = |variable: &Variable| match variable {
            Variable::Params => Some(Given::Fields(self.params)),
            Variable::Saga => {
                let [name, namespace, uid] = self.saga;
                made(json!({"name": name, "namespace": namespace, "uid": uid}))
            }
            Variable::Steps => {
                let read = self.steps.iter().filter(|step| reads.steps.contains(&step.name));
                made(Value::Object(
                    read.map(|step| (step.name.clone(), readable_status(step))).collect(),
                ))
            }
            Variable::Outputs => self.outputs.map(Given::Fields).or_else(|| made(json!({}))),
            Variable::Action => self
                .action
                .and_then(|(key, outcome)| made(json!({"key": key, "outcome": outcome.as_str()}))),
            Variable::Response => {
                self.response.map(|response| Given::Value(Cow::Borrowed(response)))
            }
            Variable::Attempt => self.attempt.and_then(|ScopedAttempt { number, uncertain }| {
                made(json!({"number": number, "uncertain": uncertain}))
            }),
            Variable::Object => self.object.map(|object| Given::Value(Cow::Borrowed(object))),
        };
        reads
            .variables
            .iter()
            .filter_map(|variable| Some((variable.as_str(), value(variable)?)))
            .collect()
    }
}

/// Returns the part of a step's status that an expression may read.
fn readable_status(step: &StepStatus) -> Value {
    json!({"phase": step.phase.as_str(), "outputs": step.outputs.clone().unwrap_or_default()})
}
