//! The values that the expressions of a saga read.

use std::borrow::Cow;

use serde_json::Value;

use super::saga::{Operation, ValidSaga, Work};
use crate::{
    api::{Direction, Outcome, StepStatus, names::idempotency_key},
    expression::scope::Scope,
};

/// The key and the outcome of a step's action, as its compensation reads them.
pub(in crate::model) type Acted = (String, Outcome);

/// What the expressions of a saga read.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// The saga.
    pub saga: &'a ValidSaga,
    /// The stored state of its steps.
    pub steps: &'a [StepStatus],
}

impl<'a> Values<'a> {
    /// Returns the key and the outcome of a step's action. If an attempt succeeded, they are those
    /// of that attempt. Otherwise, if the step is uncertain, they are the present key and Unknown.
    /// Otherwise they are those of the last attempt.
    pub(crate) fn acted(&self, status: &StepStatus) -> Option<Acted> {
        let record = status.action.as_ref()?;
        let (failures, outcome) = match record.last_outcome? {
            Outcome::Succeeded => (record.failures, Outcome::Succeeded),
            _ if record.uncertain => (record.failures, Outcome::Unknown),
            outcome @ (Outcome::Failed | Outcome::Unknown) => {
                (record.failures.saturating_sub(record.answered.into()), outcome)
            }
        };
        Some((
            idempotency_key(&self.saga.key_scope, &status.name, Direction::Action, failures),
            outcome,
        ))
    }

    /// Returns what the expressions of a step read. `acted` is set for its compensation.
    pub(crate) fn scope<'s>(
        &self,
        status: &'s StepStatus,
        acted: Option<&'s Acted>,
        response: Option<&'s Value>,
    ) -> Scope<'s>
    where
        'a: 's,
    {
        let ValidSaga { name, namespace, uid, params, .. } = self.saga;
        Scope {
            steps: self.steps,
            outputs: status.outputs.as_ref(),
            action: acted.map(|(key, outcome)| (key.as_str(), *outcome)),
            response,
            ..Scope::new(params, [name, namespace, uid])
        }
    }

    /// Returns what the expressions that read an object may read.
    pub(crate) fn object_scope<'s>(
        &self,
        status: &'s StepStatus,
        direction: Direction,
        acted: Option<&'s Acted>,
        object: &'s Value,
    ) -> Scope<'s>
    where
        'a: 's,
    {
        let acted = acted.filter(|_| direction == Direction::Compensation);
        Scope { object: Some(object), ..self.scope(status, acted, None) }
    }

    /// Returns what an operation of a step does now.
    ///
    /// # Errors
    /// One line: an expression cannot be evaluated, or its value does not fit.
    pub fn resolve<'o>(
        &self,
        operation: &'o Operation,
        status: &StepStatus,
        direction: Direction,
    ) -> Result<Cow<'o, Work>, String> {
        if operation.template.is_none() {
            return Ok(Cow::Borrowed(&operation.work));
        }
        let acted = self.acted(status).filter(|_| direction == Direction::Compensation);
        operation.resolve(&self.scope(status, acted.as_ref(), None))
    }
}
