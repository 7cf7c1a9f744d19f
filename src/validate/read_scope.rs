//! The variables that the expressions of a saga may read, by place.
//!
//! | place | may read |
//! |---|---|
//! | `when`, an action | `params`, `saga`, the steps that the step depends on |
//! | `expect` and `outputs` of a step | also `response` |
//! | `answers` of a step | also `response` and `attempt` |
//! | `until`, and `outputs` of a step that reads an object | also `object` |
//! | a compensation | what its step's action reads, and the `outputs` and `action` of its step |
//! | `expect` of a compensation | also `response` |
//! | `answers` of a compensation | also `response` and `attempt` |
//! | `spec.outputs` | `params`, `saga`, all steps |
//! | an image, a command, a kind, a namespace, an account, a right | only `params` and `saga` |
//!
//! The answer of a service may not choose what runs.

use std::{cell::Cell, collections::BTreeSet};

use serde_json::{Map, Value};

use super::{
    acceptance::Acceptance,
    given::{ChildCheck, Params},
};
use crate::{
    api::SagaSpec,
    expression::{
        cost::MAX_TOGETHER,
        program::Expression,
        reads::Variable,
        scope::Scope,
        template::{Field, Template, node::Form},
    },
    fault::{Fault, are_enough},
    model::saga::ValidStep,
};

/// The most bytes of `spec.params` as JSON, if expressions read it.
const MAX_PARAMS: usize = 32 * 1024;

/// What the expressions at one place may read.
#[derive(Clone)]
pub(in crate::validate) struct ReadScope<'a> {
    variables: BTreeSet<Variable>,
    /// The steps that may be read. `all` holds all steps of the saga.
    upstream: &'a BTreeSet<&'a str>,
    all: &'a BTreeSet<&'a str>,
    /// The values that are known before anything runs. `None` if the expressions may never be
    /// evaluated.
    known: Option<Scope<'a>>,
    given: Params<'a>,
}

impl<'a> ReadScope<'a> {
    /// Returns what may be read by the action of a step that depends on `upstream`.
    pub(in crate::validate) fn action(
        upstream: &'a BTreeSet<&'a str>,
        all: &'a BTreeSet<&'a str>,
        known: Option<Scope<'a>>,
        given: Params<'a>,
    ) -> Self {
        let known = known.filter(|_| given.known);
        Self {
            variables: [Variable::Params, Variable::Saga, Variable::Steps].into(),
            upstream,
            all,
            known,
            given,
        }
    }

    /// Returns what may be read by the compensation of this action.
    pub(in crate::validate) fn undo(&self) -> Self {
        self.with(&[Variable::Outputs, Variable::Action])
    }

    /// Returns what may be read by an expression that reads the answer of this action.
    pub(in crate::validate) fn answer(&self) -> Self {
        self.with(&[Variable::Response])
    }

    /// Returns what may be read by an expression that decides what an answer of this action means.
    pub(in crate::validate) fn judged(&self) -> Self {
        self.with(&[Variable::Response, Variable::Attempt])
    }

    /// Returns what may be read by an expression that reads the object of this action.
    pub(in crate::validate) fn object(&self) -> Self {
        self.with(&[Variable::Object])
    }

    fn with(&self, more: &[Variable]) -> Self {
        let mut more_reach = self.clone();
        more_reach.variables.extend(more);
        more_reach
    }

    /// Parses and checks an expression that is written without `${…}`.
    pub(in crate::validate) fn expression(
        &self,
        text: &str,
        path: &str,
        faults: &mut Vec<Fault>,
    ) -> Option<Expression> {
        if text.trim_start().starts_with("${") {
            faults.push(Fault::broken(
                path,
                "is an expression as a whole: write it without ${ and }",
            ));
            return None;
        }
        let expression = Expression::parse(text)
            .map_err(|error| faults.push(Fault::broken(path, error)))
            .ok()?;
        let before = faults.len();
        self.check(path, &expression, &self.variables, faults);
        self.count(path, &expression, faults);
        if let Some(known) = self.known_to(&expression).filter(|_| faults.len() == before)
            && let Err(error) = expression.holds(&known)
        {
            faults.push(Fault::new(path, error));
        }
        Some(expression)
    }

    /// Checks the expressions in the leaves of an action or of outputs. `fixed` returns whether
    /// only `params` and `saga` may reach the leaf below these keys. The check ends with the first
    /// fault that no user will be told about.
    pub(in crate::validate) fn template(
        &self,
        template: &Template,
        fixed: impl Fn(&[String]) -> bool,
        faults: &mut Vec<Fault>,
    ) {
        let own = [Variable::Params, Variable::Saga]
            .into_iter()
            .filter(|variable| *variable == Variable::Saga || !self.given.of_another);
        let fixed_variables = own.collect();
        for Field { path, keys, expression } in template.fields() {
            if are_enough(faults) {
                return;
            }
            let before = faults.len();
            self.check(
                path,
                expression,
                if fixed(keys) { &fixed_variables } else { &self.variables },
                faults,
            );
            self.count(path, expression, faults);
            if let Some(known) = self.known_to(expression).filter(|_| faults.len() == before)
                && let Err(error) = expression.evaluate(&known)
            {
                faults.push(Fault::new(path, error));
            }
        }
    }

    /// Returns whether the answer of a service may be among the saga's params.
    pub(in crate::validate) const fn params_are_of_another(&self) -> bool {
        self.given.of_another
    }

    /// Returns whether the saga was accepted before.
    pub(in crate::validate) const fn acceptance(&self) -> Acceptance {
        self.given.acceptance
    }

    /// Returns the function that checks a child saga.
    pub(in crate::validate) const fn check_child(&self) -> ChildCheck {
        self.given.check_child
    }

    /// Returns the work of all expressions so far.
    pub(in crate::validate) const fn work(&self) -> &'a Cell<u64> {
        self.given.work
    }

    /// Counts the work of an expression, as far as the values that it reads are known. An excess of
    /// the limit is reported once. After it, no expression is counted or tried.
    fn count(&self, path: &str, expression: &Expression, faults: &mut Vec<Fault>) {
        self.given.met.set(true);
        let before = self.work().get();
        if before > MAX_TOGETHER {
            return;
        }
        let nothing = Map::new();
        let unknown = Scope::new(&nothing, [""; 3]);
        let all = before.saturating_add(expression.work(&self.known.unwrap_or(unknown)));
        self.work().set(all);
        if all > MAX_TOGETHER {
            let message = format!(
                "{expression:?}: with this one, the expressions of the saga are too much work \
                 together: write fewer, or shorter ones, let params hold less, or move a part into \
                 a separate saga"
            );
            faults.push(Fault::new(path, message));
        }
    }

    /// Returns the value of a template, if all that the template reads is already known.
    pub(in crate::validate) fn tried(&self, template: &Template) -> Option<Value> {
        let fixed = template.fields().iter().all(|field| field.expression.is_fixed());
        template.evaluate(&self.known.filter(|_| fixed && self.work().get() <= MAX_TOGETHER)?).ok()
    }

    /// Returns the values to try an expression with, if the expression reads only what never
    /// changes.
    fn known_to(&self, expression: &Expression) -> Option<Scope<'a>> {
        self.known.filter(|_| expression.is_fixed() && self.work().get() <= MAX_TOGETHER)
    }

    fn check(
        &self,
        path: &str,
        expression: &Expression,
        variables: &BTreeSet<Variable>,
        faults: &mut Vec<Fault>,
    ) {
        for variable in &expression.reads().variables {
            if !variables.contains(variable) {
                let known = variables
                    .iter()
                    .map(|variable| variable.as_str())
                    .collect::<Vec<_>>()
                    .join(", ");
                let message = format!(
                    "{expression:?} reads {}, which is not known here: known are {known}",
                    variable.as_str()
                );
                faults.push(Fault::new(path, message));
            }
        }
        for step in &expression.reads().steps {
            if !self.all.contains(step.as_str()) {
                let dash = self.all.iter().any(|name| name.starts_with(&format!("{step}-")));
                let hint = if dash {
                    " (a name with a dash is written steps['reserve-stock'])"
                } else {
                    ""
                };
                faults.push(Fault::new(
                    path,
                    format!(
                        "{expression:?} reads step {step}, and the saga has none of that name{hint}"
                    ),
                ));
            } else if !self.upstream.contains(step.as_str()) {
                let message = format!(
                    "{expression:?} reads step {step}, which need not be done by then: name it in \
                     dependsOn, here or in a step that this one depends on"
                );
                faults.push(Fault::new(path, message));
            }
        }
    }
}

/// Returns whether a spec, or the spec of a child in it, may hold an expression. The function
/// searches the text of the spec, which takes less time than to check each field. So it may return
/// true for a spec without expressions.
#[must_use]
pub fn may_have_expressions(spec: &SagaSpec) -> bool {
    let marks = ["${", "\"when\":", "\"expect\":", "\"until\":"];
    serde_json::to_string(spec).is_ok_and(|text| marks.iter().any(|mark| text.contains(mark)))
}

/// Returns the names of the steps that a step with these dependencies depends on, directly or
/// through other steps.
pub(in crate::validate) fn upstream<'a>(
    depends_on: &[usize],
    steps: &'a [ValidStep],
) -> BTreeSet<&'a str> {
    let (mut found, mut open) = (BTreeSet::new(), depends_on.to_vec());
    while let Some(step) = open.pop().and_then(|place| steps.get(place)) {
        if found.insert(step.name.as_str()) {
            open.extend(&step.depends_on);
        }
    }
    found
}

/// Parses and checks the outputs of a step or of the saga: values by name.
pub(in crate::validate) fn outputs(
    values: Option<&Map<String, Value>>,
    path: &str,
    reads: &ReadScope<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Template> {
    let template = Template::parse(values?, path, |_| Form::Any, faults);
    reads.template(&template, |_| false, faults);
    Some(template)
}

/// Returns the fault of params that are too large for expressions to read.
pub(in crate::validate) fn too_large(params: &Map<String, Value>) -> Option<Fault> {
    let bytes = serde_json::to_string(params).map_or(0, |text| text.len());
    let message = || {
        format!("has {bytes} bytes: where expressions read it, it may have at most {MAX_PARAMS}")
    };
    (bytes > MAX_PARAMS).then(|| Fault::new("spec.params", message()))
}
