//! What the expressions of one template may come to together, and what they may not bring.

use serde_json::Value;

use super::node::Leaf;
use crate::expression::{cost::MAX_TOGETHER, program::Expression, reads::Variable, scope::Scope};

/// The most bytes of all that the leaves of one template come to.
pub(crate) const MAX_RESULT: usize = 256 * 1024;

/// What no other side may give within an object that is handed on as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    /// The names of fields that only `params` and `saga` may choose.
    pub names: &'static [&'static str],
    /// Keys on the way from the template on, such as `manifest` and `data`, at and below which any
    /// field may be given.
    pub free: &'static [&'static [&'static str]],
}

impl Fixed {
    /// Whether any field may be given in the leaf below these keys of the template.
    #[must_use]
    pub fn is_free(&self, keys: &[String]) -> bool {
        self.free.iter().any(|free| keys.get(..free.len()).is_some_and(|begin| begin == *free))
    }
}

/// What an evaluation has room for.
pub(crate) struct Room {
    /// The bytes that are left.
    left: usize,
    /// The work so far.
    work: u64,
    /// What no other side may give.
    fixed: Fixed,
}

impl Room {
    /// All there is.
    pub(crate) const fn new(fixed: Fixed) -> Self {
        Self { left: MAX_RESULT, work: 0, fixed }
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Option<String>> {
        self.left = self.left.checked_sub(bytes).ok_or(None)?;
        Ok(())
    }

    /// What an expression gives, as long as all of them are not too much work.
    pub(crate) fn value(
        &mut self,
        path: &str,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Option<String>> {
        if self.work > MAX_TOGETHER {
            let why = "the expressions here are too much work together for the values they read: \
                write fewer, or hand on less";
            return Err(Some(format!("{path}: {expression:?}: {why}")));
        }
        expression
            .evaluate_counted(scope, &mut self.work)
            .map_err(|error| Some(format!("{path}: {error}")))
    }

    /// What no other side may choose may not come within an object either.
    pub(crate) fn admit(
        &self,
        leaf: &Leaf,
        expression: &Expression,
        value: &Value,
    ) -> Result<(), Option<String>> {
        let known = |variable: &Variable| matches!(variable, Variable::Params | Variable::Saga);
        if self.fixed.names.is_empty()
            || self.fixed.is_free(&leaf.keys)
            || expression.reads().variables.iter().all(known)
        {
            return Ok(());
        }
        named(value, self.fixed.names).map_or(Ok(()), |name| {
            let why = format!(
                "gives an object with {name}, which only params and saga may \
                choose: write {name} out"
            );
            Err(Some(format!("{}: {expression:?}: {why}", leaf.path)))
        })
    }
}

/// The first of these names that a field in a value has.
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
