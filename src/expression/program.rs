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
/// How deep brackets and calls may be nested in each other.
const MAX_DEPTH: u16 = 32;
/// The stack that is there for an expression, in bytes; so much more is taken where less than half
/// of it is left. Memory is taken only for what is used of it. It is enough for whatever
/// [`MAX_LENGTH`] characters can hold: the parser reads on after what is no string to it, so that
/// it may see more operators than [`lexer`] does.
const STACK: usize = 128 << 20;
/// What is said of an expression that makes the interpreter panic.
const OVERFLOW: &str = "gives a number that is too large";
/// The most characters of an error, and of an expression in it.
const KEPT_ERROR: usize = 200;
const KEPT_TEXT: usize = 80;

/// A parsed expression. Cheap to clone.
#[derive(Clone)]
pub struct Expression(Arc<Parsed>);

struct Parsed {
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
    /// One line: it is empty or too long, is no CEL, or uses what is not there.
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
        // The parser is not ours, and a text that it cannot take must harm nobody.
        let parsed = catch_unwind(|| Parser::new().max_recursion_depth(MAX_DEPTH).parse(text));
        let tree = parsed.map_err(|_| said(text, "is no CEL expression"))?.map_err(|errors| {
            let first = errors.errors.first().map(|error| error.msg.clone()).unwrap_or_default();
            said(text, &format!("is no CEL expression: {first}"))
        })?;
        let reads = check::reads(&tree).map_err(|error| said(text, &error))?;
        Ok(Self(Arc::new(Parsed { text: text.to_owned(), tree: strict::strict(tree), reads })))
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether it reads only what never changes, and is known before anything runs.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.0
            .reads
            .variables
            .iter()
            .all(|variable| matches!(variable, Variable::Params | Variable::Saga))
    }

    /// What it reads.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        &self.0.reads
    }

    /// The fields of `outputs` that it reads without having asked whether they are there; `…` for
    /// one whose name is computed.
    #[must_use]
    pub fn outputs_read_unasked(&self) -> Vec<String> {
        with_stack(|| guarded::unasked(&self.0.tree, guarded::Of::Own, None)).into_iter().collect()
    }

    /// The fields of the outputs of another step that it reads, by their names, without having
    /// asked whether they are there. `when`: what held before it is evaluated at all.
    #[must_use]
    pub fn outputs_of_read_unasked(&self, step: &str, when: Option<&Self>) -> Vec<String> {
        let when = when.map(|when| &when.0.tree);
        let unasked = with_stack(|| guarded::unasked(&self.0.tree, guarded::Of::Step(step), when));
        unasked.into_iter().filter(|field| field != guarded::COMPUTED).collect()
    }

    /// Evaluates the expression.
    ///
    /// # Errors
    /// One line that begins with the expression: what it reads is not there or of another type, or
    /// it would be too much work.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, String> {
        self.evaluate_counted(scope, &mut 0)
    }

    /// The same; adds its work to `work`, which may not pass
    /// [`MAX_TOGETHER`](super::cost::MAX_TOGETHER) where many are evaluated.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_counted(&self, scope: &Scope<'_>, work: &mut u64) -> Result<Value, String> {
        with_stack(|| self.value(scope, work)).map_err(|error| said(&self.0.text, &error))
    }

    fn value(&self, scope: &Scope<'_>, work: &mut u64) -> Result<Value, String> {
        let Parsed { tree, reads, .. } = self.0.as_ref();
        let variables = scope.variables(reads);
        *work = work.saturating_add(cost::afford(tree, &variables)?.work);
        let mut context = Context::default().with_all();
        functions::mend(&mut context);
        numbers::mend(&mut context);
        for (name, value) in &variables {
            context.add_variable_from_value(*name, value.to_cel());
        }
        // The interpreter counts some things without looking whether they fit: a sum, a quantity,
        // the sign of the lowest number.
        let value = catch_unwind(AssertUnwindSafe(|| CelValue::resolve(tree, &context)))
            .map_err(|_| OVERFLOW)?;
        convert::into_json(&value.map_err(|error| reason(&error))?)
    }

    /// The most bytes of text that the expression may come to, as told before it is evaluated; as
    /// JSON each may take six.
    ///
    /// # Errors
    /// As [`Self::evaluate`], where it would be too much work.
    pub fn most(&self, scope: &Scope<'_>) -> Result<u64, String> {
        let Parsed { text, tree, reads } = self.0.as_ref();
        let cost = with_stack(|| cost::afford(tree, &scope.variables(reads)));
        cost.map(|cost| cost.bytes).map_err(|error| said(text, &error))
    }

    /// The work of evaluating it, as told before; of what is not known the least. What would be too
    /// much by itself is never evaluated: then it is the work of finding that out.
    #[must_use]
    pub fn work(&self, scope: &Scope<'_>) -> u64 {
        let Parsed { tree, reads, .. } = self.0.as_ref();
        let variables = scope.variables(reads);
        with_stack(|| cost::afford(tree, &variables))
            .map_or_else(|_| cost::least(&variables), |cost| cost.work)
    }

    /// Evaluates an expression that says yes or no.
    ///
    /// # Errors
    /// As [`Self::evaluate`], and where it gives something else.
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

/// Runs what goes down into itself as deep as an expression is nested, on a stack that is large
/// enough for what [`lexer`] lets through.
fn with_stack<T>(run: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK / 2, STACK, run)
}

/// `${params.order}: <what is wrong>`, one line.
fn said(text: &str, what: &str) -> String {
    format!("${{{}}}: {}", clip(text, KEPT_TEXT), clip(what, KEPT_ERROR))
}

/// The reason in the words of CEL; the values themselves are left out, since they may be large, or
/// nobody's business.
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
        // It would show the value, and a map in an order of its own each time.
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
