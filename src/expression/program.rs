//! One expression: parsed once with what it reads, bounded, and evaluated.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use kube::core::cel::{
    KubeCelExt,
    cel::{Context, ExecutionError, IdedExpr, Value as CelValue, parser::Parser},
};
use serde_json::Value;

use super::{
    check, convert, cost, functions, guarded, lexer, numbers,
    reads::{Reads, Variable},
    scope::Scope,
    strict,
};
use crate::text::clip;

/// The most characters of an expression.
pub const MAX_LENGTH: usize = 1024;
/// The most levels of nested brackets and calls.
const MAX_DEPTH: u16 = 32;
/// The size of the stack for an expression, in bytes. If less than half of it is left, a new stack
/// of this size is allocated. The system takes memory only for the part that is used. The size is
/// enough for every text of [`MAX_LENGTH`] characters: the parser reads on after a quote that
/// begins no string, so it may see more operators than [`lexer`] does.
const STACK: usize = 128 << 20;
/// The message about an expression that makes the interpreter panic.
const OVERFLOW: &str = "gives a number that is too large";
/// The most characters of an error. `KEPT_TEXT` is the most characters of an expression in an
/// error.
const KEPT_ERROR: usize = 200;
const KEPT_TEXT: usize = 80;

/// A parsed expression. Cheap to clone.
#[derive(Clone)]
pub struct Expression(Arc<ParsedExpression>);

struct ParsedExpression {
    text: String,
    tree: IdedExpr,
    reads: Reads,
}

impl fmt::Debug for Expression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "${{{}}}", self.0.text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// Returns one line: the expression is empty, too long or no CEL, or uses a name that does not
    /// exist.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("${} is empty: write an expression, such as ${params.order}".into());
        }
        let length = text.chars().count();
        if length > MAX_LENGTH {
            let begin = clip(text, KEPT_TEXT);
            return Err(format!(
                "${{{begin}}} has {length} characters: an expression may have at most {MAX_LENGTH}"
            ));
        }
        lexer::check(text).map_err(|error| said(text, &error))?;
        with_stack(|| Self::parse_tree(text))
    }

    fn parse_tree(text: &str) -> Result<Self, String> {
        // The parser is a library: if it panics on a text, only this expression fails.
        let parsed = catch_unwind(|| Parser::new().max_recursion_depth(MAX_DEPTH).parse(text));
        let tree = parsed.map_err(|_| said(text, "is no CEL expression"))?.map_err(|errors| {
            let first = errors.errors.first().map(|error| error.msg.clone()).unwrap_or_default();
            said(text, &format!("is no CEL expression: {first}"))
        })?;
        let reads = check::reads(&tree).map_err(|error| said(text, &error))?;
        Ok(Self(Arc::new(ParsedExpression {
            text: text.to_owned(),
            tree: strict::strict(tree),
            reads,
        })))
    }

    /// Returns the text of the expression as it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Returns whether the expression reads only values that never change and are known before
    /// anything runs.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.0
            .reads
            .variables
            .iter()
            .all(|variable| matches!(variable, Variable::Params | Variable::Saga))
    }

    /// Returns what the expression reads.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        &self.0.reads
    }

    /// Returns the fields of `outputs` that the expression reads without a check that they exist. A
    /// field whose name is computed is returned as `…`.
    #[must_use]
    pub fn unguarded_outputs(&self) -> Vec<String> {
        with_stack(|| guarded::unguarded(&self.0.tree, guarded::GuardSubject::Own, None))
            .into_iter()
            .collect()
    }

    /// Returns the names of the fields that the expression reads of another step's outputs without
    /// a check that they exist. `when` is the condition under which the expression is evaluated at
    /// all. Fields whose names are computed are left out.
    #[must_use]
    pub fn unguarded_outputs_of(&self, step: &str, when: Option<&Self>) -> Vec<String> {
        let when = when.map(|when| &when.0.tree);
        let unguarded = with_stack(|| {
            guarded::unguarded(&self.0.tree, guarded::GuardSubject::Step(step), when)
        });
        unguarded.into_iter().filter(|field| field != guarded::COMPUTED).collect()
    }

    /// Evaluates the expression.
    ///
    /// # Errors
    /// Returns one line that begins with the expression: a value that the expression reads does not
    /// exist or has another type, or the evaluation would be too much work.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, String> {
        self.evaluate_counted(scope, &mut 0)
    }

    /// Evaluates the expression like [`Self::evaluate`], and adds its work to `work`. If several
    /// expressions are evaluated together, `work` may not exceed
    /// [`MAX_TOGETHER`](super::cost::MAX_TOGETHER).
    ///
    /// # Errors
    /// The same as [`Self::evaluate`].
    pub fn evaluate_counted(&self, scope: &Scope<'_>, work: &mut u64) -> Result<Value, String> {
        with_stack(|| self.value(scope, work)).map_err(|error| said(&self.0.text, &error))
    }

    fn value(&self, scope: &Scope<'_>, work: &mut u64) -> Result<Value, String> {
        let ParsedExpression { tree, reads, .. } = self.0.as_ref();
        let variables = scope.variables(reads);
        *work = work.saturating_add(cost::afford(tree, &variables)?.work);
        let mut context = Context::default().with_all();
        functions::register(&mut context);
        numbers::register(&mut context);
        for (name, value) in &variables {
            context.add_variable_from_value(*name, value.to_cel());
        }
        // The interpreter computes some results without a check for overflow: a sum, a quantity,
        // the negation of the lowest number.
        let value = catch_unwind(AssertUnwindSafe(|| CelValue::resolve(tree, &context)))
            .map_err(|_| OVERFLOW)?;
        convert::into_json(&value.map_err(|error| reason(&error))?)
    }

    /// Returns the most bytes of text that the result may have, computed before the evaluation. As
    /// JSON, each byte may take six.
    ///
    /// # Errors
    /// The same as [`Self::evaluate`] if the expression would be too much work.
    pub fn most(&self, scope: &Scope<'_>) -> Result<u64, String> {
        let ParsedExpression { text, tree, reads } = self.0.as_ref();
        let cost = with_stack(|| cost::afford(tree, &scope.variables(reads)));
        cost.map(|cost| cost.bytes).map_err(|error| said(text, &error))
    }

    /// Returns the work of evaluating the expression, computed before the evaluation. A value that
    /// is not known yet counts as little as possible. An expression that alone would be too much
    /// work is never evaluated: the result is then the work of finding that out.
    #[must_use]
    pub fn work(&self, scope: &Scope<'_>) -> u64 {
        let ParsedExpression { tree, reads, .. } = self.0.as_ref();
        let variables = scope.variables(reads);
        with_stack(|| cost::afford(tree, &variables))
            .map_or_else(|_| cost::least(&variables), |cost| cost.work)
    }

    /// Evaluates an expression that gives true or false.
    ///
    /// # Errors
    /// The same as [`Self::evaluate`], and an error if the result is neither true nor false.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, String> {
        match self.evaluate(scope)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(said(
                &self.0.text,
                &format!("is {} and not true or false", convert::kind(&other)),
            )),
        }
    }
}

/// Runs a function that recurses as deep as an expression is nested. Its stack is large enough for
/// every expression that [`lexer`] accepts.
fn with_stack<T>(run: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK / 2, STACK, run)
}

/// Returns `${params.order}: <what is wrong>` in one line.
fn said(text: &str, what: &str) -> String {
    format!("${{{}}}: {}", clip(text, KEPT_TEXT), clip(what, KEPT_ERROR))
}

/// Returns the reason in the words of CEL. The values themselves are left out, since they may be
/// large or confidential.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no field {key}"),
        ExecutionError::UndeclaredReference(name) => {
            format!("there is no variable or function {name}")
        }
        ExecutionError::NoSuchOverload => {
            "a value has another type than the expression needs (no such overload)".into()
        }
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            format!("{operator} does not take {} and {}", left.type_of(), right.type_of())
        }
        ExecutionError::UnsupportedUnaryOperator(operator, value) => {
            format!("{operator} does not take {}", value.type_of())
        }
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} and {} cannot be compared", left.type_of(), right.type_of())
        }
        ExecutionError::UnsupportedTargetType { target } => {
            format!("a function does not take {}", target.type_of())
        }
        ExecutionError::NotSupportedAsMethod { method, target } => {
            format!("{method} is no method of {}", target.type_of())
        }
        ExecutionError::UnexpectedType { got, want } => format!("is {got} where {want} is wanted"),
        // The message would show the value, and a map in another order each time.
        ExecutionError::FunctionError { function, message }
            if message.starts_with("cannot convert ") =>
        {
            format!("{function}: cannot convert a value of this type")
        }
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
        ExecutionError::IndexOutOfBounds(_) => "the list has no such element".into(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".into()
        }
        ExecutionError::Overflow(operator, _, _) => {
            format!("{operator} gives a number that is too large")
        }
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("a function takes {expected} arguments, not {actual}")
        }
        ExecutionError::MissingArgumentOrTarget => "a function is given too few arguments".into(),
        _ => "a value has another type than the expression needs".into(),
    }
}

#[cfg(test)]
mod tests;
