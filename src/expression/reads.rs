//! What an expression reads, known before the expression is evaluated.

use std::collections::BTreeSet;

/// The variables and steps that an expression reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The variables that the expression reads.
    pub variables: BTreeSet<Variable>,
    /// The names of the steps that the expression reads through `steps`.
    pub steps: BTreeSet<String>,
    /// Whether the expression may read more of `response` than `status` and `headers`.
    pub body: bool,
}

/// A variable of expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variable {
    /// `params`: `spec.params`.
    Params,
    /// `saga`: `name`, `namespace` and `uid`.
    Saga,
    /// `steps.<name>`: `outputs` and `phase`.
    Steps,
    /// `outputs`: the step's own outputs, in its compensation.
    Outputs,
    /// `action`: `key` and `outcome` of the step's action, in its compensation.
    Action,
    /// `response`: `status`, `headers` and `body` of the answer.
    Response,
    /// `attempt`: `number` and `uncertain` of the attempt that was answered.
    Attempt,
    /// `object`: the object that the step applied or waits for.
    Object,
}

impl Variable {
    /// Every variable.
    pub const ALL: [Self; 8] = [
        Self::Params,
        Self::Saga,
        Self::Steps,
        Self::Outputs,
        Self::Action,
        Self::Response,
        Self::Attempt,
        Self::Object,
    ];

    /// Returns the name of the variable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Params => "params",
            Self::Saga => "saga",
            Self::Steps => "steps",
            Self::Outputs => "outputs",
            Self::Action => "action",
            Self::Response => "response",
            Self::Attempt => "attempt",
            Self::Object => "object",
        }
    }
}
