//! The fields of a step's outputs that an expression reads without a check that they exist.
//!
//! A compensation may run although the outcome of its action is unknown, and a step may be skipped.
//! In both cases there are no outputs, and an unguarded read of a field fails.
//!
//! # Guarantees
//! The result follows from the syntax tree. A read of a field is guarded if it happens only after
//! `has(outputs.x)`, `'x' in outputs` or `action.outcome == 'Succeeded'` held: after `&&`, in a
//! branch of `?:`, or after the `||` of the opposite condition. The same holds for
//! `steps.a.outputs` and `steps.a.phase == 'Completed'`. A read that checks for itself
//! (`outputs.?x`) and `outputs` as a whole are never reported.

use std::collections::BTreeSet;

use kube::core::cel::cel::{
    IdedExpr,
    common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators},
};

use super::{
    reads::Variable,
    strict::{self, operands},
};
use crate::api::{Outcome, StepPhase};

/// The name that is reported for a field whose name is computed.
pub(in crate::expression) const COMPUTED: &str = "…";

/// The step whose outputs are searched for.
#[derive(Clone, Copy)]
pub(in crate::expression) enum GuardSubject<'a> {
    /// The step's own outputs, as its compensation reads them.
    Own,
    /// The outputs of another step.
    Step(&'a str),
}

impl GuardSubject<'_> {
    fn is_outputs(self, expr: &IdedExpr) -> bool {
        match self {
            Self::Own => is_variable(expr, Variable::Outputs),
            Self::Step(name) => field(expr, "outputs").is_some_and(|step| is_step(step, name)),
        }
    }

    /// Returns whether `expr == word` holds only if all outputs of the step exist.
    fn shows_all(self, expr: &IdedExpr, word: &IdedExpr) -> bool {
        match self {
            Self::Own => {
                let of_action = field(expr, "outcome")
                    .is_some_and(|action| is_variable(action, Variable::Action));
                of_action && text(word) == Some(Outcome::Succeeded.as_str())
            }
            Self::Step(name) => {
                let of_step = field(expr, "phase").is_some_and(|step| is_step(step, name));
                of_step && text(word) == Some(StepPhase::Completed.as_str())
            }
        }
    }
}

/// Returns the fields that are read without a guard. `when` is the condition that held before.
pub(in crate::expression) fn unguarded(
    expr: &IdedExpr,
    of: GuardSubject<'_>,
    when: Option<&IdedExpr>,
) -> BTreeSet<String> {
    let mut search = Search { of, found: BTreeSet::new() };
    let facts = when.map(|when| search.facts_if(when, true)).unwrap_or_default();
    search.visit(expr, &facts);
    search.found
}

/// What is known to exist at one place of the expression.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// Whether the action is known to have succeeded, so that all outputs of the step exist.
    all: bool,
    fields: BTreeSet<String>,
}

impl Facts {
    fn field(name: &str) -> Self {
        Self { all: false, fields: [name.to_owned()].into() }
    }

    fn and(mut self, other: Self) -> Self {
        self.all |= other.all;
        self.fields.extend(other.fields);
        self
    }

    /// Returns what is known if only one of the two holds.
    fn or(self, other: Self) -> Self {
        match (self.all, other.all) {
            (true, _) => other,
            (_, true) => self,
            (false, false) => Self {
                all: false,
                fields: self.fields.intersection(&other.fields).cloned().collect(),
            },
        }
    }

    fn know(&self, field: &str) -> bool {
        self.all || self.fields.contains(field)
    }
}

struct Search<'a> {
    of: GuardSubject<'a>,
    found: BTreeSet<String>,
}

impl Search<'_> {
    fn visit(&mut self, expr: &IdedExpr, facts: &Facts) {
        match &expr.expr {
            Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
            Expr::Select(select) => self.visit(&select.operand, facts),
            Expr::Call(call) => self.visit_call(call, facts),
            Expr::List(list) => list.elements.iter().for_each(|element| self.visit(element, facts)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.visit(&entry.key, facts);
                        self.visit(&entry.value, facts);
                    }
                }
            }
            Expr::Comprehension(comprehension) => {
                let parts = [
                    &comprehension.accu_init,
                    &comprehension.loop_cond,
                    &comprehension.loop_step,
                    &comprehension.result,
                ];
                [strict::range(comprehension)]
                    .into_iter()
                    .chain(parts)
                    .for_each(|part| self.visit(part, facts));
            }
        }
    }

    fn visit_call(&mut self, call: &CallExpr, facts: &Facts) {
        match (call.func_name.as_str(), operands(call).as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.visit(condition, facts);
                self.visit(yes, &facts.clone().and(self.facts_if(condition, true)));
                self.visit(no, &facts.clone().and(self.facts_if(condition, false)));
            }
            (name @ (operators::LOGICAL_AND | operators::LOGICAL_OR), [first, second]) => {
                self.visit(first, facts);
                self.visit(
                    second,
                    &facts.clone().and(self.facts_if(first, name == operators::LOGICAL_AND)),
                );
            }
            (operators::INDEX, [operand, key]) if self.of.is_outputs(operand) => {
                let field = text(key).unwrap_or(COMPUTED);
                if !facts.know(field) {
                    self.found.insert(field.to_owned());
                }
                self.visit(key, facts);
            }
            (_, parts) => parts.iter().for_each(|part| self.visit(part, facts)),
        }
    }

    /// Returns what is known if the expression has this value.
    fn facts_if(&self, expr: &IdedExpr, truth: bool) -> Facts {
        match &expr.expr {
            Expr::Select(select) if select.test && truth && self.of.is_outputs(&select.operand) => {
                Facts::field(&select.field)
            }
            Expr::Call(call) => match (call.func_name.as_str(), operands(call).as_slice()) {
                (operators::LOGICAL_NOT, [negated]) => self.facts_if(negated, !truth),
                (name @ (operators::LOGICAL_AND | operators::LOGICAL_OR), [first, second]) => {
                    let (first, second) =
                        (self.facts_if(first, truth), self.facts_if(second, truth));
                    if (name == operators::LOGICAL_AND) == truth {
                        first.and(second)
                    } else {
                        first.or(second)
                    }
                }
                (operators::IN, [key, container]) if truth && self.of.is_outputs(container) => {
                    Facts::field(text(key).unwrap_or(COMPUTED))
                }
                (name @ (operators::EQUALS | operators::NOT_EQUALS), [left, right])
                    if (name == operators::EQUALS) == truth =>
                {
                    let all = self.of.shows_all(left, right) || self.of.shows_all(right, left);
                    Facts { all, fields: BTreeSet::new() }
                }
                _ => Facts::default(),
            },
            _ => Facts::default(),
        }
    }
}

fn is_variable(expr: &IdedExpr, variable: Variable) -> bool {
    matches!(&expr.expr, Expr::Ident(name) if name == variable.as_str())
}

/// Returns whether the expression is `steps.<name>`.
fn is_step(expr: &IdedExpr, name: &str) -> bool {
    field(expr, name).is_some_and(|steps| is_variable(steps, Variable::Steps))
}

/// Returns the expression whose field `name` is read, as a field or by an index.
fn field<'a>(expr: &'a IdedExpr, name: &str) -> Option<&'a IdedExpr> {
    match &expr.expr {
        Expr::Select(select) if !select.test && select.field == name => Some(&select.operand),
        Expr::Call(call) if call.func_name == operators::INDEX => match operands(call).as_slice() {
            [operand, key] if text(key) == Some(name) => Some(*operand),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the text, if the expression is a text that is written out.
fn text(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::super::program::Expression;

    fn unguarded(text: &str) -> Vec<String> {
        Expression::parse(text).unwrap().unguarded_outputs()
    }

    fn unguarded_of(step: &str, text: &str) -> Vec<String> {
        Expression::parse(text).unwrap().unguarded_outputs_of(step, None)
    }

    #[test]
    fn what_is_read_of_another_step_is_told_by_the_same_rules() {
        for text in [
            "steps.b.outputs.a",
            "steps['b'].outputs['a']",
            "steps.b['outputs'].a.c == 1.0",
            "has(steps.b.outputs.a.c)",
            "has(steps.c.outputs.a) ? steps.b.outputs.a : ''",
            "has(outputs.a) ? steps.b.outputs.a : ''",
            "steps.b.phase == 'Skipped' ? steps.b.outputs.a : ''",
            "action.outcome == 'Succeeded' ? steps.b.outputs.a : ''",
            "1.5 * steps.b.outputs.a",
            "[1].map(x, x + steps.b.outputs.a)",
        ] {
            assert_eq!(unguarded_of("b", text), ["a"], "{text}");
        }
        for text in [
            "steps.b.outputs",
            "size(steps.b.outputs) > 0",
            "steps.b.outputs.map(name, name)",
            "steps.b.phase",
            "steps.c.outputs.a",
            "steps.c.outputs.b.outputs.a",
            "has(steps.b.outputs.a)",
            "has(steps.b.outputs.a) ? steps.b.outputs.a : ''",
            "'a' in steps.b.outputs && steps['b'].outputs.a == 1",
            "steps.b.phase == 'Completed' ? steps.b.outputs.a : ''",
            "steps.b.phase != 'Completed' || steps.b.outputs.a == 1.0",
        ] {
            assert_eq!(unguarded_of("b", text), [""; 0], "{text}");
        }
        assert_eq!(unguarded_of("b", "steps.b.outputs[params.x]"), [""; 0], "it may be any");
        let (read, when) = (
            "steps.b.outputs.a + steps.b.outputs.c",
            Expression::parse("has(steps.b.outputs.a) && params.x").unwrap(),
        );
        assert_eq!(Expression::parse(read).unwrap().unguarded_outputs_of("b", Some(&when)), ["c"]);
    }

    #[test]
    fn what_is_read_before_it_was_asked_for_is_told() {
        for text in [
            "outputs.a",
            "outputs['a']",
            "outputs.a.b.c",
            "'x' + outputs.a",
            "{'k': [outputs.a]}",
            "size(outputs.a)",
            "outputs.a.startsWith('x')",
            "params.a.startsWith(outputs.a)",
            "has(outputs.a.b)",
            "has(outputs.b) ? outputs.a : ''",
            "has(outputs.a) ? '' : outputs.a",
            "has(outputs.a) || outputs.a == 1",
            "outputs.a == 1 && has(outputs.a)",
            "!has(outputs.a) && outputs.a == 1",
            "(has(outputs.a) || has(outputs.b)) ? outputs.a : ''",
            "!(has(outputs.a) && has(outputs.b)) || false ? outputs.a : ''",
            "action.outcome != 'Succeeded' ? outputs.a : ''",
            "action.outcome == 'Unknown' ? '' : outputs.a",
            "outputs.a.filter(x, x > 1)",
            "[1].map(x, outputs.a)",
        ] {
            assert_eq!(unguarded(text), ["a"], "{text}");
        }
        assert_eq!(unguarded("outputs.a + outputs.b + outputs[params.c]"), ["a", "b", "…"]);
    }

    #[test]
    fn what_was_asked_for_is_no_matter_and_so_is_what_asks_by_itself() {
        for text in [
            "outputs",
            "size(outputs)",
            "outputs.exists(name, name == 'a')",
            "has(outputs.a)",
            "'a' in outputs",
            "has(outputs.a) ? outputs.a : action.key",
            "has(outputs.a) ? outputs['a'].b : action.key",
            "!has(outputs.a) ? action.key : outputs.a",
            "has(outputs.a) && outputs.a == 1",
            "has(outputs.a) && has(outputs.a.b) && outputs.a.b == 1",
            "!has(outputs.a) || outputs.a == 1",
            "'a' in outputs ? outputs.a : ''",
            "params.a in outputs ? outputs[params.a] : ''",
            "has(outputs.a) && has(outputs.b) ? outputs.a + outputs.b : ''",
            "!(has(outputs.a) && has(outputs.b)) ? '' : outputs.a",
            "(has(outputs.a) && params.x) || (params.y && has(outputs.a)) ? outputs.a : ''",
            "!(!has(outputs.a) || params.x) ? outputs.a : ''",
            "action.outcome == 'Succeeded' ? outputs.a : action.key",
            "'Succeeded' == action.outcome && outputs.a > 1",
            "action.outcome != 'Succeeded' || outputs.a > 1",
            "has(outputs.a) ? [1].map(x, outputs.a) : []",
            "outputs.?a.orValue('')",
            "outputs[?'a'].orValue('')",
            "params.outputs.a",
            "steps.b.outputs.a",
            "'outputs.a'",
        ] {
            match Expression::parse(text) {
                Ok(expression) => assert_eq!(expression.unguarded_outputs(), [""; 0], "{text}"),
                Err(error) => assert!(text.contains('?') && error.contains("CEL"), "{error}"),
            }
        }
    }
}
