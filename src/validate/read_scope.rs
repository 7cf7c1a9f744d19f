//! What the expressions of a saga may read, each where it stands.
//!
//! | where | reads |
//! |---|---|
//! | `when`, an action | `params`, `saga`, the steps that it depends on |
//! | `expect` and `outputs` of a step | and `response` |
//! | `answers` of a step | and `response` and `attempt` |
//! | `until`, and `outputs` of a step that looks at an object | and `object` |
//! | a compensation | what its step's action reads, and the `outputs` and `action` of its step |
//! | `expect` of a compensation | and `response` |
//! | `answers` of a compensation | and `response` and `attempt` |
//! | `spec.outputs` | `params`, `saga`, all steps |
//! | an image, a kind, a namespace, an account | `params` and `saga` alone |
//!
//! What another side answered may not choose what runs.

use std::{cell::Cell, collections::BTreeSet};

use serde_json::{Map, Value};

use super::given::{ChildCheck, Params};
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

/// The most bytes of `spec.params` where expressions read it, as JSON.
const MAX_PARAMS: usize = 32 * 1024;

/// What may be read at one place.
#[derive(Clone)]
pub(crate) struct Reach<'a> {
    variables: BTreeSet<Variable>,
    /// The steps that may be read, and all there are.
    upstream: &'a BTreeSet<&'a str>,
    all: &'a BTreeSet<&'a str>,
    /// Values for what is known before anything runs; `None` where it may never be evaluated.
    known: Option<Scope<'a>>,
    given: Params<'a>,
}

impl<'a> Reach<'a> {
    /// Of an action of a step that depends on `upstream`.
    pub(crate) fn action(
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

    /// Of its compensation.
    pub(crate) fn undo(&self) -> Self {
        self.with(&[Variable::Outputs, Variable::Action])
    }

    /// Of what is asked of an answer here.
    pub(crate) fn answer(&self) -> Self {
        self.with(&[Variable::Response])
    }

    /// Of what an answer means here.
    pub(crate) fn judged(&self) -> Self {
        self.with(&[Variable::Response, Variable::Attempt])
    }

    /// Of what is asked of an object here.
    pub(crate) fn object(&self) -> Self {
        self.with(&[Variable::Object])
    }

    fn with(&self, more: &[Variable]) -> Self {
        let mut more_reach = self.clone();
        more_reach.variables.extend(more);
        more_reach
    }

    /// An expression that stands by itself.
    pub(crate) fn expression(
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

    /// The expressions in the leaves of an action or of outputs. `fixed`: whether the one below
    /// these keys is one that only `params` and `saga` may reach. It ends with the first fault that
    /// nobody will be told of.
    pub(crate) fn template(
        &self,
        template: &Template,
        fixed: impl Fn(&[String]) -> bool,
        faults: &mut Vec<Fault>,
    ) {
        let own = [Variable::Params, Variable::Saga]
            .into_iter()
            .filter(|variable| *variable == Variable::Saga || !self.given.of_another);
        let fixed_reach = own.collect();
        for Field { path, keys, expression } in template.fields() {
            if are_enough(faults) {
                return;
            }
            let before = faults.len();
            self.check(
                path,
                expression,
                if fixed(keys) { &fixed_reach } else { &self.variables },
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

    /// Whether another side's answer may be among the saga's params.
    pub(crate) const fn params_are_of_another(&self) -> bool {
        self.given.of_another
    }

    /// Whether the saga was accepted before.
    pub(crate) const fn is_accepted(&self) -> bool {
        self.given.accepted
    }

    /// The rule by which a child is checked.
    pub(crate) const fn check_child(&self) -> ChildCheck {
        self.given.check_child
    }

    /// The work of all expressions so far.
    pub(crate) const fn work(&self) -> &'a Cell<u64> {
        self.given.work
    }

    /// Counts the work of an expression, of what it reads as far as that is known. What passes the
    /// limit is told once, and nothing is counted or tried from then on.
    fn count(&self, path: &str, expression: &Expression, faults: &mut Vec<Fault>) {
        self.given.met.set(true);
        let before = self.work().get();
        if before > MAX_TOGETHER {
            return;
        }
        let nothing = Map::new();
        let unknown = Scope {
            params: &nothing,
            saga: [""; 3],
            steps: &[],
            outputs: None,
            action: None,
            response: None,
            attempt: None,
            object: None,
        };
        let all = before.saturating_add(expression.work(&self.known.unwrap_or(unknown)));
        self.work().set(all);
        if all > MAX_TOGETHER {
            let message = format!(
                "{expression:?}: with this one, the expressions of the saga are too much work \
                 together: write fewer, or shorter ones, let params hold less, or hand a part on \
                 to a saga that is created by itself"
            );
            faults.push(Fault::new(path, message));
        }
    }

    /// What a template comes to where all that it reads is known already.
    pub(crate) fn tried(&self, template: &Template) -> Option<Value> {
        let fixed = template.fields().iter().all(|field| field.expression.is_fixed());
        template.evaluate(&self.known.filter(|_| fixed && self.work().get() <= MAX_TOGETHER)?).ok()
    }

    /// Values that an expression can be tried with already: it reads only what never changes.
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

/// Whether an expression may stand in a spec, or in that of a child in it: told from its text,
/// which is sooner done than to look for it, and may take for one what is none.
#[must_use]
pub fn may_have_expressions(spec: &SagaSpec) -> bool {
    let marks = ["${", "\"when\":", "\"expect\":", "\"until\":"];
    serde_json::to_string(spec).is_ok_and(|text| marks.iter().any(|mark| text.contains(mark)))
}

/// The names of the steps that the step with these dependencies depends on, directly or through
/// others.
pub(crate) fn upstream<'a>(depends_on: &[usize], steps: &'a [ValidStep]) -> BTreeSet<&'a str> {
    let (mut found, mut open) = (BTreeSet::new(), depends_on.to_vec());
    while let Some(step) = open.pop().and_then(|place| steps.get(place)) {
        if found.insert(step.name.as_str()) {
            open.extend(&step.depends_on);
        }
    }
    found
}

/// Values by name that a step or the saga hands on.
pub(crate) fn outputs(
    values: Option<&Map<String, Value>>,
    path: &str,
    reach: &Reach<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Template> {
    let template = Template::parse(values?, path, |_| Form::Any, faults);
    reach.template(&template, |_| false, faults);
    Some(template)
}

/// What is wrong with parameters that are too large for expressions to read.
pub(crate) fn too_large(params: &Map<String, Value>) -> Option<Fault> {
    let bytes = serde_json::to_string(params).map_or(0, |text| text.len());
    let message = || {
        format!("has {bytes} bytes: where expressions read it, it may have at most {MAX_PARAMS}")
    };
    (bytes > MAX_PARAMS).then(|| Fault::new("spec.params", message()))
}
