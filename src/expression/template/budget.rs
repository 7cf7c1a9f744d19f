//! The limits for all expressions of one template together, and the fields that they may not bring.

use serde_json::Value;

use super::node::Leaf;
use crate::expression::{cost::MAX_TOGETHER, program::Expression, reads::Variable, scope::Scope};

/// The most bytes of the results of all leaves of one template.
pub(in crate::expression) const MAX_RESULT: usize = 256 * 1024;

/// The fields that an object from a service may not bring into a template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrustedFields {
    /// The names of the fields that only `params` and `saga` may choose.
    pub names: &'static [&'static str],
    /// Paths of keys below the template, such as `manifest` and `data`. At and below these paths,
    /// an object may bring any field.
    pub free: &'static [&'static [&'static str]],
}

impl TrustedFields {
    /// Returns whether the leaf below these keys of the template may bring any field.
    #[must_use]
    pub fn is_free(&self, keys: &[String]) -> bool {
        self.free.iter().any(|free| keys.get(..free.len()).is_some_and(|begin| begin == *free))
    }
}

/// What one evaluation of a template may still use.
pub(in crate::expression) struct EvalBudget {
    /// The bytes that are left for results.
    left: usize,
    /// The work so far.
    work: u64,
    /// The fields that an object from a service may not bring.
    trusted: TrustedFields,
}

impl EvalBudget {
    /// Creates the full budget for one evaluation.
    pub(in crate::expression) const fn new(trusted: TrustedFields) -> Self {
        Self { left: MAX_RESULT, work: 0, trusted }
    }

    pub(in crate::expression) fn take(&mut self, bytes: usize) -> Result<(), Option<String>> {
        self.left = self.left.checked_sub(bytes).ok_or(None)?;
        Ok(())
    }

    /// Evaluates an expression, unless the expressions so far are too much work together.
    pub(in crate::expression) fn value(
        &mut self,
        path: &str,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Option<String>> {
        if self.work > MAX_TOGETHER {
            let why = "the expressions here are too much work together for the values they read: \
                write fewer, or use smaller values";
            return Err(Some(format!("{path}: {expression:?}: {why}")));
        }
        expression
            .evaluate_counted(scope, &mut self.work)
            .map_err(|error| Some(format!("{path}: {error}")))
    }

    /// Refuses an object that holds a field which only `params` and `saga` may choose, if the
    /// expression reads anything else.
    pub(in crate::expression) fn admit(
        &self,
        leaf: &Leaf,
        expression: &Expression,
        value: &Value,
    ) -> Result<(), Option<String>> {
        let known = |variable: &Variable| matches!(variable, Variable::Params | Variable::Saga);
        if self.trusted.names.is_empty()
            || self.trusted.is_free(&leaf.keys)
            || expression.reads().variables.iter().all(known)
        {
            return Ok(());
        }
        named(value, self.trusted.names).map_or(Ok(()), |name| {
            let why = format!(
                "gives an object with {name}, which only params and saga may \
                choose: write {name} out"
            );
            Err(Some(format!("{}: {expression:?}: {why}", leaf.path)))
        })
    }
}

/// Returns the first of these names that a field within the value has.
fn named(value: &Value, names: &[&'static str]) -> Option<&'static str> {
    match value {
        Value::Object(fields) => {
            let own = names.iter().copied().find(|name| fields.contains_key(*name));
            own.or_else(|| fields.values().find_map(|field| named(field, names)))
        }
        Value::Array(items) => items.iter().find_map(|item| named(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
