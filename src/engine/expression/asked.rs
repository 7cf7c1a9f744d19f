//! Which fields of `outputs` an expression reads without having asked whether they are there.
//!
//! A compensation may run although nobody can tell what its action did, and then there are no outputs: what it reads of them unasked fails.
//!
//! # Guarantees
//! What is told follows from the tree. A field counts as asked for where it is read only after `has(outputs.x)`, `'x' in outputs` or
//! `action.outcome == 'Succeeded'` held: behind `&&`, in a branch of `?:`, or behind the `||` of what says the opposite. What asks by itself
//! (`outputs.?x`), and `outputs` as a whole, never counts.

use std::collections::BTreeSet;

use kube::core::cel::cel::{
    IdedExpr,
    common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators},
};

use super::Variable;
use crate::api::Outcome;

/// How a field is told of whose name is computed.
const COMPUTED: &str = "…";

/// The fields that are read unasked.
pub(super) fn unasked(expr: &IdedExpr) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    visit(expr, &Facts::default(), &mut found);
    found
}

/// What is known to be there at one place.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// The action succeeded: all that the step hands on is there.
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

    /// What is known where only one of the two holds.
    fn or(self, other: Self) -> Self {
        match (self.all, other.all) {
            (true, _) => other,
            (_, true) => self,
            (false, false) => Self { all: false, fields: self.fields.intersection(&other.fields).cloned().collect() },
        }
    }

    fn know(&self, field: &str) -> bool {
        self.all || self.fields.contains(field)
    }
}

fn visit(expr: &IdedExpr, facts: &Facts, found: &mut BTreeSet<String>) {
    match &expr.expr {
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
        Expr::Select(select) => visit(&select.operand, facts, found),
        Expr::Call(call) => visit_call(call, facts, found),
        Expr::List(list) => list.elements.iter().for_each(|element| visit(element, facts, found)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    visit(&entry.key, facts, found);
                    visit(&entry.value, facts, found);
                }
            }
        }
        Expr::Comprehension(comprehension) => {
            let parts = [&comprehension.iter_range, &comprehension.accu_init, &comprehension.loop_cond, &comprehension.loop_step];
            parts.into_iter().chain([&comprehension.result]).for_each(|part| visit(part, facts, found));
        }
    }
}

fn visit_call(call: &CallExpr, facts: &Facts, found: &mut BTreeSet<String>) {
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::CONDITIONAL, [condition, yes, no]) => {
            visit(condition, facts, found);
            visit(yes, &facts.clone().and(follows(condition, true)), found);
            visit(no, &facts.clone().and(follows(condition, false)), found);
        }
        (name @ (operators::LOGICAL_AND | operators::LOGICAL_OR), [first, second]) => {
            visit(first, facts, found);
            visit(second, &facts.clone().and(follows(first, name == operators::LOGICAL_AND)), found);
        }
        (operators::INDEX, [operand, key]) if is_outputs(operand) => {
            let field = text(key).unwrap_or(COMPUTED);
            if !facts.know(field) {
                found.insert(field.to_owned());
            }
            visit(key, facts, found);
        }
        (_, args) => {
            call.target.as_deref().into_iter().chain(args).for_each(|part| visit(part, facts, found));
        }
    }
}

/// What is known where the expression is true, or where it is false.
fn follows(expr: &IdedExpr, truth: bool) -> Facts {
    match &expr.expr {
        Expr::Select(select) if select.test && truth && is_outputs(&select.operand) => Facts::field(&select.field),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, [negated]) => follows(negated, !truth),
            (name @ (operators::LOGICAL_AND | operators::LOGICAL_OR), [first, second]) => {
                let (first, second) = (follows(first, truth), follows(second, truth));
                if (name == operators::LOGICAL_AND) == truth { first.and(second) } else { first.or(second) }
            }
            (operators::IN, [key, container]) if truth && is_outputs(container) => Facts::field(text(key).unwrap_or(COMPUTED)),
            (name @ (operators::EQUALS | operators::NOT_EQUALS), [left, right]) if (name == operators::EQUALS) == truth => {
                let done = |outcome, word| is_outcome(outcome) && text(word) == Some(Outcome::Succeeded.as_str());
                Facts { all: done(left, right) || done(right, left), fields: BTreeSet::new() }
            }
            _ => Facts::default(),
        },
        _ => Facts::default(),
    }
}

fn is_outputs(expr: &IdedExpr) -> bool {
    matches!(&expr.expr, Expr::Ident(name) if name == Variable::Outputs.as_str())
}

/// `action.outcome`, as a field or as an index.
fn is_outcome(expr: &IdedExpr) -> bool {
    let is_action = |operand: &IdedExpr| matches!(&operand.expr, Expr::Ident(name) if name == Variable::Action.as_str());
    match &expr.expr {
        Expr::Select(select) => !select.test && select.field == "outcome" && is_action(&select.operand),
        Expr::Call(CallExpr { func_name, target: None, args }) if func_name == operators::INDEX => {
            matches!(args.as_slice(), [operand, key] if is_action(operand) && text(key) == Some("outcome"))
        }
        _ => false,
    }
}

/// A text that is written out.
fn text(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::super::Expression;

    fn unasked(text: &str) -> Vec<String> {
        Expression::parse(text).unwrap().outputs_read_unasked()
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
            assert_eq!(unasked(text), ["a"], "{text}");
        }
        assert_eq!(unasked("outputs.a + outputs.b + outputs[params.c]"), ["a", "b", "…"]);
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
                Ok(expression) => assert_eq!(expression.outputs_read_unasked(), [""; 0], "{text}"),
                Err(error) => assert!(text.contains('?') && error.contains("CEL"), "{error}"),
            }
        }
    }
}
